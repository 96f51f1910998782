"""Weight-free segmentation of a trunk CT by Hounsfield units and morphology."""
