# Whose heart is it? Two videos of a folder that comes by volume: make docker_run_predict.
# Another build of torch: --build-arg TORCH="torch==2.13.0 --index-url <index of that build>".
FROM python:3.11-slim

RUN useradd --create-home --uid 1000 pulse
WORKDIR /app
ARG TORCH=torch==2.13.0
COPY requirements.txt ./
COPY constraints/py3.11.txt constraints/
RUN pip install --no-cache-dir ${TORCH} \
    && pip install --no-cache-dir -r requirements.txt -c constraints/py3.11.txt
COPY . .
ENV HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib PYTHONUNBUFFERED=1
USER pulse
VOLUME ["/videos"]
ENTRYPOINT ["python", "-m", "tools.pairing.predict"]
