# What requirements.lock names, for a machine without a graphics card: awk -f tools/cpu.awk requirements.lock
# Less the packages of NVIDIA's; and PyTorch's without their hashes, since its own index has other files than PyPI.
/^[^ #]/ { kept = !/^(nvidia-|cuda-|triton)/; other = /^torch/ }
other { sub(/ \\$/, "") }
kept && !(other && /--hash=/)
