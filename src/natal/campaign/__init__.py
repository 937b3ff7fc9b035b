"""A campaign's configuration, its plan of points and jobs, and where its simulations stand."""
