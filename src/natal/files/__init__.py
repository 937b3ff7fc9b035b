"""Files that are whole or not there: atomic writes, plain formats, sealed HDF5."""
