"""The settings of a campaign, one class for each section of its configuration."""
