"""Study `potential`: a network learns a gravitational potential from its values, forces and density.

In the order of the data the modules are `fields` (what is true), `cluster` (the simulated particles), `network`,
`training`, `accuracy`, `orbits`, `tables` (files), `figures`. All numbers are in units of G = M = a = 1: positions in
a, potentials in GM/a, accelerations in GM/a^2, times in sqrt(a^3/GM); a is the Plummer scale radius.
"""
