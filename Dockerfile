# The image of a student's server on a JupyterHub: the student edition, without the solutions.
#
#     docker build --tag digitlib --build-arg JUPYTERHUB=5 .
#
# JUPYTERHUB is the hub's own major version. The hub's settings name the image, such as
# c.DockerSpawner.image = "digitlib", and 2 GB of memory for each student.

FROM python:3.13-slim AS build
RUN apt-get update && apt-get install --yes --no-install-recommends git make && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/digitlib
COPY . .
RUN make install TORCH_BACKEND=cpu && .venv/bin/python -m tools.student --no-run
ARG JUPYTERHUB=5
RUN .venv/bin/uv pip install --python .venv/bin/python "jupyterhub==${JUPYTERHUB}.*"

FROM python:3.13-slim
RUN useradd --create-home --uid 1000 student
# The environment finds the library in the folder in which it was installed; what lies there now is the edition.
COPY --from=build /opt/digitlib/.venv /opt/digitlib/.venv
COPY --from=build --chown=student /opt/digitlib/dist/student /opt/digitlib
ENV PATH=/opt/digitlib/.venv/bin:$PATH \
    DIGITLIB_CHECKPOINTS=/home/student/checkpoints
USER student
WORKDIR /home/student
EXPOSE 8888
# A student's home may be a volume that is empty at first; what lies in it already is kept.
CMD ["sh", "-c", "cp --recursive --update=none /opt/digitlib/notebooks . ; exec jupyterhub-singleuser"]
