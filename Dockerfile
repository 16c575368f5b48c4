# omp-server with the providers postgres and passthrough, every embedder, and the memory browser.
#
# Nothing secret goes in: keys and passwords come when it runs. It listens on all of the container's
# interfaces, and therefore does not start without a file of keys. It needs no writable root.

FROM python:3.13.9-slim-trixie AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY constraints.txt ./
RUN python -m venv /opt/omp && /opt/omp/bin/pip install --upgrade pip --constraint constraints.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/omp/bin/pip install '.[server,ui,openai]' wordllama --constraint constraints.txt --build-constraint constraints.txt \
    && /opt/omp/bin/pip uninstall --yes pip

FROM python:3.13.9-slim-trixie
RUN groupadd --system --gid 10001 omp \
    && useradd --system --uid 10001 --gid omp --no-create-home --home-dir /var/lib/omp --shell /usr/sbin/nologin omp \
    && install --directory --owner omp --group omp --mode 0700 /var/lib/omp
COPY --from=build /opt/omp /opt/omp
ENV PATH=/opt/omp/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OMP_HOST=0.0.0.0 \
    OMP_PORT=8080 \
    OMP_KEYS_FILE=/var/lib/omp/keys.json
USER 10001:10001
WORKDIR /var/lib/omp
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=4s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['OMP_PORT']), timeout=3); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["omp-server"]
