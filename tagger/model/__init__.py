"""The two networks: trunk and head, exact class maps, calibration, the bundle on disk, the inference engine."""
