"""How bright tissues are in a balanced steady-state free precession (bSSFP) cine, in arbitrary units.

Blood is bright, fat nearly as bright, muscle dark, lung and cortical bone black: the order that a reader expects, and between any
two neighbours a step of at least a third of the brighter one (blood of the right ventricle is kept from fat by its wall).
"""

AIR = 2.0
LUNG = 14.0
CORTICAL_BONE = 25.0
STOMACH_GAS = 6.0
MUSCLE = 92.0
MYOCARDIUM = 112.0
WALL = 96.0
"""Walls of the right ventricle, the atria and vessels; closed valves."""
PERICARDIUM = 70.0
LIVER = 185.0
SPLEEN = 215.0
STOMACH = 150.0
MARROW = 165.0
DISC = 120.0
OESOPHAGUS = 120.0
CORD = 230.0
MEDIASTINUM = 250.0
FAT = 330.0
EPICARDIAL_FAT = 310.0
RV_BLOOD = 400.0
VENOUS_BLOOD = 370.0
LV_BLOOD = 430.0
ARTERIAL_BLOOD = 400.0
FLUID = 450.0
