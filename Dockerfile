# sfumato serve in a container: the page and the API at port 7860, as a user without rights, its root read-only.
#
# The server listens beyond the container and therefore refuses to start without SFUMATO_TOKEN. The base is pinned
# by its tag alone, as its digest could not be looked up where this was written; append it as @sha256:... after
#     docker buildx imagetools inspect python:3.11-slim-bookworm

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /source
COPY pyproject.toml constraints.txt LICENSE README.md ./
COPY src src
# The wheel is built by the pinned hatchling, and named by its path: an index could offer another "sfumato".
RUN pip install -c constraints.txt hatchling \
    && pip wheel --no-deps --no-build-isolation -w /wheels . \
    && python -m venv --without-pip /opt/sfumato \
    && pip --python /opt/sfumato/bin/python install -c constraints.txt "$(echo /wheels/*.whl)[web]"

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="sfumato" \
      org.opencontainers.image.description="Turn a portrait photo into a painting that keeps the face." \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/sfumato /opt/sfumato
# Jobs, results and fetched models lie in the one folder that can be written to, beside /tmp.
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/sfumato
ENV PATH=/opt/sfumato/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SFUMATO_HOME=/var/lib/sfumato
VOLUME /var/lib/sfumato
USER 10001:10001
EXPOSE 7860
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:7860/healthz', timeout=4)"]
ENTRYPOINT ["sfumato"]
CMD ["serve", "--host", "0.0.0.0", "--port", "7860"]
