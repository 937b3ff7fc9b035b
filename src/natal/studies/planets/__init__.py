"""Three planets about a star: which systems last, by integration, by their spacing in Hill radii and by network."""
