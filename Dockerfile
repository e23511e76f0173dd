# syntax=docker/dockerfile:1
# The dashboard's image: web server and worker are the same image with another command.

FROM python:3.13-slim-trixie AS build
WORKDIR /src
RUN python -m venv /opt/cleanstart
COPY requirements.lock .
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/cleanstart/bin/pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY web web
COPY templates templates
COPY static static
COPY migrations migrations
COPY demo demo
RUN /opt/cleanstart/bin/pip install --no-deps --no-build-isolation . \
    && /opt/cleanstart/bin/python -m compileall -q /opt/cleanstart/lib

FROM python:3.13-slim-trixie
# pg_dump must be at least as new as the newest server: the client programs come from PostgreSQL's own packages.
ARG POSTGRESQL=18
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates postgresql-common \
    && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y \
    && apt-get install -y --no-install-recommends postgresql-client-${POSTGRESQL} tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/cleanstart cleanstart
COPY --from=build /opt/cleanstart /opt/cleanstart
ENV PATH=/opt/cleanstart/bin:$PATH \
    CLEANSTART_CONFIG=/etc/cleanstart/cleanstart.toml \
    PYTHONDONTWRITEBYTECODE=1
USER cleanstart
WORKDIR /var/lib/cleanstart
VOLUME /var/lib/cleanstart
EXPOSE 8321
# tini reaps what pg_dump and a project's migrations leave behind.
ENTRYPOINT ["tini", "--", "cleanstart"]
CMD ["serve", "--host", "0.0.0.0"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8321/readyz', timeout=2)"]
