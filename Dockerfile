# docker build --tag wsipipe . && docker run --rm --volume "$PWD":/data wsipipe run gastric /data/slides --out /data/results
FROM python:3.11-slim
RUN useradd --create-home lab
WORKDIR /opt/wsipipe
# The lock first: the layer with the packages stays as it is when only our code changes.
COPY requirements.lock ./
RUN python -m pip install --no-cache-dir --no-deps --requirement requirements.lock
COPY . .
RUN python -m pip install --no-cache-dir --no-deps --no-build-isolation .
USER lab
WORKDIR /data
ENV OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
ENTRYPOINT ["wsipipe"]
CMD ["--help"]
