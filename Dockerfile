# featx as an image: docker build -t featx .   (docs/operating.md says how it is run)
# The base is pinned by its tag; another one: --build-arg PYTHON=3.13-slim-bookworm
ARG PYTHON=3.12-slim-bookworm

FROM python:${PYTHON} AS build
# Optional parts of featx that the image has; see pyproject.toml.
ARG EXTRAS="cloud parquet heif xlsx"
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY featx featx
# tensorflow-cpu is the same library without CUDA, and half as large; it is there for x86-64 only.
RUN if [ "$(uname -m)" = x86_64 ]; then tensorflow=tensorflow-cpu; else tensorflow=tensorflow; fi \
 && python -m venv /opt/featx \
 && python -c "import os, tomllib; found = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
some = [found['optional-dependencies'][name] for name in os.environ['EXTRAS'].split()]; \
print(*found['dependencies'], *sum(some, []), sep='\n')" \
  | sed "s/^tensorflow>/$tensorflow>/" > requirements.txt \
 && /opt/featx/bin/pip install --no-cache-dir -r requirements.txt \
 && /opt/featx/bin/pip install --no-cache-dir --no-deps .

FROM python:${PYTHON}
# Weights, compiled fonts and the like lie in /cache; whoever runs the container may write there.
ENV PATH=/opt/featx/bin:$PATH HOME=/cache XDG_CACHE_HOME=/cache LANG=C.UTF-8 PYTHONUNBUFFERED=1
RUN useradd --uid 10001 --no-create-home --home-dir /cache featx \
 && mkdir /cache /work && chown featx /cache /work && chmod 1777 /cache /work
COPY --from=build /opt/featx /opt/featx
USER featx
VOLUME /cache
WORKDIR /work
ENTRYPOINT ["featx"]
CMD ["--help"]
