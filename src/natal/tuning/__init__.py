"""Is training healthy, and would other settings train better?"""
