# The image of every process of Parley: serve, engine, migrate. It has no local model.
FROM node:22-slim AS assets
WORKDIR /assets
COPY package.json package-lock.json ./
RUN npm ci --omit=dev && mkdir vendor \
    && cp node_modules/htmx.org/dist/htmx.min.js node_modules/htmx.org/dist/ext/hx-ws.min.js vendor/ \
    && grep -v '^//# sourceMappingURL=' node_modules/chart.js/dist/chart.umd.min.js >vendor/chart.umd.min.js

FROM python:3.13-slim
WORKDIR /app
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
COPY requirements/base.txt requirements/base.txt
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements/base.txt
COPY manage.py ./
COPY chatsite chatsite
COPY chat chat
COPY templates templates
COPY static static
COPY --from=assets /assets/vendor/ static/vendor/
# The code belongs to root; only var/ is Parley's to write.
RUN SECRET_KEY=only-to-build OPENAI_BASE_URL=http://unused python manage.py collectstatic --no-input --verbosity 0 \
    && useradd --system --uid 10001 parley && mkdir var && chown parley var
USER parley
EXPOSE 8000
CMD ["python", "manage.py", "serve", "--host", "0.0.0.0"]
