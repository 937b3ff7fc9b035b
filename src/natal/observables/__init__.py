"""What someone with a telescope has of a cluster: projected, in an aperture, at an age with an error."""
