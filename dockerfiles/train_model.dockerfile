# Training on pairs, on the CPU. Data, weights and reports lie outside and come by volume: make docker_run_train.
# Another build of torch: --build-arg TORCH="torch==2.13.0 --index-url <index of that build>"; the CPU's is the smallest.
FROM python:3.11-slim

RUN useradd --create-home --uid 1000 pulse
WORKDIR /app
ARG TORCH=torch==2.13.0
COPY requirements.txt ./
COPY constraints/py3.11.txt constraints/
RUN pip install --no-cache-dir ${TORCH} \
    && pip install --no-cache-dir -r requirements.txt -c constraints/py3.11.txt
COPY . .
RUN mkdir -p data models runs && chown pulse data models runs && chmod 1777 data models runs
ENV HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib PYTHONUNBUFFERED=1
USER pulse
VOLUME ["/app/data", "/app/models", "/app/runs"]
ENTRYPOINT ["python", "-m", "tools.pairing.train"]
