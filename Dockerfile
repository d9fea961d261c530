# An image that trains and sweeps, on the CPU or on NVIDIA's GPUs: docs/containers.md.
ARG PYTHON=3.11
FROM python:${PYTHON}-slim

# hadolint ignore=DL3008 # any git and make do
RUN apt-get update && apt-get install --yes --no-install-recommends git make && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 user
USER 1000
WORKDIR /home/user/sweeplab
ENV PATH=/home/user/sweeplab/.venv/bin:$PATH PIP_NO_CACHE_DIR=1

# The environment is a layer of its own, which changes of code leave alone.
ARG TORCH=cpu
COPY --chown=1000 constraints.txt ./
RUN python3 -m venv .venv \
    && .venv/bin/pip install "$(grep '^torch==' constraints.txt)" --index-url "https://download.pytorch.org/whl/${TORCH}"
COPY --chown=1000 pyproject.toml hatch_build.py README.md LICENSE Makefile ./
RUN mkdir src && make .venv/ready

COPY --chown=1000 . .
CMD ["bash"]
