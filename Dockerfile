# syntax=docker/dockerfile:1
# Two stages: the first builds the wheel with pinned tools, the second holds only what runs.
ARG PYTHON_IMAGE=python:3.11.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes --requirement requirements-build.lock \
 && python -m venv --without-pip /opt/monitor \
 && pip --python /opt/monitor/bin/python install --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY rules ./rules
COPY monitor ./monitor
RUN /opt/build/bin/python -m build --wheel --no-isolation --outdir /dist \
 && pip --python /opt/monitor/bin/python install --no-deps /dist/*.whl

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="Delivery Monitor" \
      org.opencontainers.image.licenses="Apache-2.0"
# A fixed number, so that the owner of the volume is known to those who prepare it.
RUN groupadd --system --gid 65532 monitor \
 && useradd --system --uid 65532 --gid 65532 --home-dir /data --no-create-home \
      --shell /usr/sbin/nologin monitor \
 && install --directory --owner=65532 --group=65532 --mode=0700 /data
COPY --from=build /opt/monitor /opt/monitor
COPY docker/entrypoint.py docker/healthcheck.py /opt/monitor/docker/
COPY docker/monitor.yaml /etc/delivery-monitor/monitor.yaml
# The root file system is read-only: no bytecode is written, and /data is all that changes.
ENV PATH=/opt/monitor/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
VOLUME /data
WORKDIR /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
  CMD ["python", "/opt/monitor/docker/healthcheck.py"]
ENTRYPOINT ["python", "/opt/monitor/docker/entrypoint.py"]
CMD ["serve", "--config", "/etc/delivery-monitor/monitor.yaml"]
