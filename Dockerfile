FROM node:22-slim AS assets
WORKDIR /assets
COPY package.json package-lock.json ./
RUN npm ci --omit=dev

FROM python:3.13-slim
WORKDIR /app
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
COPY requirements/base.txt requirements/base.txt
RUN pip install --no-cache-dir --require-hashes -r requirements/base.txt
COPY manage.py pyproject.toml ./
COPY chatsite chatsite
COPY chat chat
COPY templates templates
COPY static static
COPY --from=assets /assets/node_modules/htmx.org/dist/htmx.min.js /assets/node_modules/htmx.org/dist/ext/hx-ws.min.js static/vendor/
RUN SECRET_KEY=only-to-build OPENAI_BASE_URL=http://unused python manage.py collectstatic --no-input --verbosity 0 \
    && useradd --system parley && mkdir -p var && chown parley var
USER parley
VOLUME /app/var
EXPOSE 8000
CMD ["python", "manage.py", "serve", "--host", "0.0.0.0"]
