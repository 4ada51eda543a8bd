"""From a catalogue to files for other programs: the folders of ukbb_cardiac and nnU-Net, and a BIDS-like one."""
