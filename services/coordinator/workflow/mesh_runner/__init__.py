"""Does the work of stages by calling the services of the mesh."""
