"""Stand-ins for what a Jetson has and this machine does not: TensorRT, pycuda, libcuda. See each file."""
