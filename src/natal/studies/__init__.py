"""Small studies beside the campaign that reuse its library: one subpackage each."""
