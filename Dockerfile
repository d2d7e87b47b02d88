FROM python:3.11-slim
RUN useradd --create-home lab
WORKDIR /opt/wsipipe
COPY requirements.lock ./
RUN python -m pip install --no-cache-dir --no-deps -r requirements.lock
COPY . .
RUN python -m pip install --no-cache-dir --no-deps --no-build-isolation .
USER lab
WORKDIR /data
ENTRYPOINT ["wsipipe"]
CMD ["--help"]
