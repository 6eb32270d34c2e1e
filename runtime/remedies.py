"""What the doctor knows: boards, JetPack releases, failures with a known cause, and the commands that mend them."""

from typing import NamedTuple


class Board(NamedTuple):
    """A Jetson module: its name, the GPU's compute capability, the nvpmodel mode with the highest clocks (None: it is
    not the same for all of them)."""

    name: str
    sm: str
    mode: object = None


TX2, NANO, XAVIER_NX = Board("Jetson TX2", "62", 0), Board("Jetson Nano", "53", 0), Board("Jetson Xavier NX", "72")

# module ids, as the device tree's file name carries them
MODULES = {
    "p3310-1000": TX2,
    "p3489-0000": Board("Jetson TX2i", "62", 0),
    "p3489-0888": Board("Jetson TX2 4GB", "62", 0),
    "p3636-0001": Board("Jetson TX2 NX", "62", 0),
    "p3448-0000": NANO,
    "p3448-0002": Board("Jetson Nano (production module)", "53", 0),
    "p3448-0003": Board("Jetson Nano 2GB", "53", 0),
    "p2180-1000": Board("Jetson TX1", "53", 0),
    "p3668-0000": XAVIER_NX,
    "p3668-0001": XAVIER_NX,
    "p3668-0003": Board("Jetson Xavier NX 16GB", "72"),
    "p2888-0001": Board("Jetson AGX Xavier", "72", 0),
    "p2888-0004": Board("Jetson AGX Xavier", "72", 0),
    "p3701-0000": Board("Jetson AGX Orin", "87", 0),
    "p3767-0000": Board("Jetson Orin NX", "87", 0),
}

# part of the device tree's model, where there is no id; the first that fits
MODELS = (
    ("lanai-3636", MODULES["p3636-0001"]),
    ("TX2 NX", MODULES["p3636-0001"]),
    ("quill", TX2),
    ("TX2", TX2),
    ("Xavier NX", XAVIER_NX),
    ("AGX Xavier", MODULES["p2888-0004"]),
    ("Jetson-AGX", MODULES["p2888-0004"]),
    ("Nano", NANO),
    ("TX1", MODULES["p2180-1000"]),
    ("Orin", MODULES["p3701-0000"]),
)

# start of the L4T release -> JetPack, TensorRT; the longest that fits
RELEASES = {
    "32.4": ("4.4", "7.1"),
    "32.5": ("4.5", "7.1"),
    "32.6": ("4.6", "8.0.1"),
    "32.7.1": ("4.6.1", "8.2.1"),
    "32.7.2": ("4.6.2", "8.2.1"),
    "32.7.3": ("4.6.3", "8.2.1"),
    "32.7.4": ("4.6.4", "8.2.1"),
    "32.7.5": ("4.6.5", "8.2.1"),
    "32.7.6": ("4.6.6", "8.2.1"),
    "32.7": ("4.6.x", "8.2.1"),
    "35": ("5.x", "8.4 or 8.5"),
    "36": ("6.x", "8.6 or 10"),
}

TO_32_7 = (
    "sudo sed -i 's/r32\\.6/r32.7/' /etc/apt/sources.list.d/nvidia-l4t-apt-source.list",
    "sudo apt-get update && sudo apt-get dist-upgrade",
)
ARMV8 = ("echo 'export OPENBLAS_CORETYPE=ARMV8' >> ~/.bashrc && export OPENBLAS_CORETYPE=ARMV8", "# or, instead of it:")
NUMPY = ("pip install --force-reinstall numpy",)
NUMPY_1_19_4 = ("pip install numpy==1.19.4",)
VENV = (
    "python3.6 -m venv --system-site-packages ~/latentjet-env",
    "~/latentjet-env/bin/pip install --upgrade pip==21.3.1",
)
NVCC = ("export PATH=/usr/local/cuda/bin:$PATH LD_LIBRARY_PATH=/usr/local/cuda/lib64",)
PYCUDA = NVCC + (
    "pip install --upgrade setuptools==59.6.0 wheel==0.37.1",
    "pip install --no-build-isolation 'pycuda<2022.2'",
)
TORCH = (
    "sudo apt-get install -y libopenblas-base libopenmpi-dev libomp-dev",
    "wget https://nvidia.box.com/shared/static/fjtbno0vpo676a25cgvuqc1wty0fkkg6.whl"
    " -O torch-1.10.0-cp36-cp36m-linux_aarch64.whl",
    "pip install torch-1.10.0-cp36-cp36m-linux_aarch64.whl",
)
PIP = ("pip install --upgrade pip==21.3.1",)
VIDEO_GROUP = ('sudo usermod -aG video "$USER"', "# then log out and in again")
SWAP = (
    "sudo fallocate -l 4G /swapfile && sudo chmod 600 /swapfile",
    "sudo mkswap /swapfile && sudo swapon /swapfile",
    "echo '/swapfile none swap sw 0 0' | sudo tee -a /etc/fstab",
)
NO_DESKTOP = ("sudo systemctl isolate multi-user.target",)
LOCK = ("sudo nvpmodel -m 0 && sudo jetson_clocks",)

# (package or "", part of what it said, means, mend): the first that fits
KNOWN = (
    ("torch", "libopenblas", "it needs system libraries that are not installed", TORCH[:1]),
    ("torch", "libmpi", "it needs system libraries that are not installed", TORCH[:1]),
    ("pycuda", "libcuda.so", "pycuda is there, the NVIDIA driver is not: see 'CUDA driver'", ()),
    ("pycuda", "libcurand", "the CUDA toolkit's libraries are not found", NVCC),
    ("tensorrt", "libnvinfer", "the module is there, TensorRT's libraries are not", ("sudo apt-get install tensorrt",)),
    (
        "",
        "static TLS block",
        "known on aarch64: libgomp was loaded too late",
        ("export LD_PRELOAD=/usr/lib/aarch64-linux-gnu/libgomp.so.1",),
    ),
    ("", "multiarray", "it was built for another numpy than the one here: install numpy first, then this again", ()),
    ("", "GLIBC", "it was built for a newer system than this one: install the version that the documents pin", ()),
    ("", "invalid ELF header", "it was built for another kind of processor: install it again here", ()),
    ("", "no answer within", "it hangs when it is imported: try it alone, restart the board", ()),
    ("", "SIGKILL", "the system killed it: that is memory. Close other programs, add swap", SWAP),
    ("", "SIGILL", "it was built for a processor with other instructions than this one: install another version", ()),
)
