"""The page that tells a campaign, and campaigns side by side."""
