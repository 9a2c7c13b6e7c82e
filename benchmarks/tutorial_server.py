"""The baseline: what the tutorials teach. Kept as they have it, on purpose.

FastAPI, the SDK's synchronous stream in a generator, `data:` lines, one uvicorn worker; no
accounts, no database, no markdown, no moderation.
"""

import json
from collections.abc import Iterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from openai import OpenAI
from pydantic import BaseModel

app = FastAPI()
client = OpenAI()


class ChatRequest(BaseModel):
    message: str


@app.get("/readyz")
def ready() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/chat")
def chat(request: ChatRequest) -> StreamingResponse:
    def generate() -> Iterator[str]:
        stream = client.chat.completions.create(
            model="fake",
            messages=[{"role": "user", "content": request.message}],
            stream=True,
        )
        for chunk in stream:
            content = chunk.choices[0].delta.content
            if content:
                yield f"data: {json.dumps({'content': content})}\n\n"
        yield "data: [DONE]\n\n"

    return StreamingResponse(generate(), media_type="text/event-stream")
