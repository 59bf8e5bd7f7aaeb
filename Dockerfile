# The taps and the loader: docker build --tag merchant-taps .
# Nothing secret and nothing that changes is in the image: settings come from the environment, the warehouse is in /data.
FROM python:3.11-slim AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /build
COPY . .
# pip does not take hashes as constraints, so it installs uv alone, and uv the rest; both check the hashes.
RUN awk '/^[^ ]/ {wanted = /^uv==/} wanted' constraints.txt > uv.txt \
    && python -m venv /build/tools \
    && /build/tools/bin/pip install --no-cache-dir --quiet --requirement uv.txt
ARG EXTRAS=loader,realtime,otel
RUN python -m venv --without-pip /opt/merchant-taps \
    && UV_CONSTRAINT=constraints.txt VIRTUAL_ENV=/opt/merchant-taps /build/tools/bin/uv pip install --no-cache --quiet ".[$EXTRAS]" \
    && install -m 755 examples/nightly.sh /opt/merchant-taps/bin/nightly

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin merchant \
    && install --directory --owner merchant --group merchant /data
COPY --from=build /opt/merchant-taps /opt/merchant-taps
ENV PATH=/opt/merchant-taps/bin:$PATH \
    TARGET_DUCKHOUSE_PATH=/data/warehouse.duckdb
USER 10001
WORKDIR /data
VOLUME /data
ENTRYPOINT ["nightly"]
