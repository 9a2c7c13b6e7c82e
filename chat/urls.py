from django.urls import path, re_path
from django.views.generic import RedirectView

from chat.api import views as api
from chat.delivery import event_stream
from chat.views import (
    api_keys,
    assistants,
    branches,
    calls,
    commands,
    export,
    health,
    metrics,
    operate,
    opinions,
    pages,
    perceived,
    review,
    setup,
    your_data,
)

_conversation = "c/<uuid:conversation_id>/"
_assistant = "assistants/<int:assistant_id>/"
_review = "review/<uuid:conversation_id>/"
_reviewed = _review + "messages/<int:message_id>/"
_message = _conversation + "messages/<int:message_id>/"

urlpatterns = [
    path("", pages.home, name="home"),
    path(_conversation, pages.conversation, name="conversation"),
    path(_conversation + "messages", commands.send, name="send"),
    path(_message + "edit", branches.edit, name="edit"),
    path(_message + "regenerate", branches.regenerate, name="regenerate"),
    path(_message + "continue", branches.continue_reply, name="continue"),
    path(_message + "calls/<int:number>/<str:decision>", calls.decide, name="decide"),
    path(_message + "answer.json", export.answer, name="answer"),
    path(_message + "perceived", perceived.perceived, name="perceived"),
    path(_message + "feedback/<str:opinion>", opinions.feedback, name="feedback"),
    path(_message + "report", opinions.report, name="report"),
    path(_message + "show", branches.show, name="show"),
    path(_conversation + "events", event_stream.events, name="events"),
    path(_conversation + "stop", commands.stop, name="stop"),
    path(_conversation + "rename", commands.rename, name="rename"),
    path(_conversation + "delete", commands.delete, name="delete"),
    path(_conversation + "settings", commands.parameters, name="parameters"),
    path(_conversation + "export.json", export.as_json, name="export_json"),
    path(_conversation + "export.md", export.as_markdown, name="export_markdown"),
    path("assistants/", assistants.index, name="assistants"),
    path("assistants/new/", assistants.new, name="assistant_new"),
    path(_assistant, assistants.assistant, name="assistant"),
    path(_assistant + "edit/", assistants.edit, name="assistant_edit"),
    path(_assistant + "archive/", assistants.archive, name="assistant_archive"),
    path(_assistant + "versions/<int:number>/", assistants.version, name="assistant_version"),
    path("accounts/api-keys/", api_keys.api_keys, name="api_keys"),
    path("accounts/api-keys/<int:key_id>/revoke/", api_keys.revoke, name="api_key_revoke"),
    path("accounts/data/", your_data.your_data, name="your_data"),
    path("accounts/data/download", your_data.download, name="your_data_download"),
    path("v1/chat/completions", api.chat_completions, name="chat_completions"),
    path("v1/models", api.models, name="api_models"),
    path("v1/models/<path:name>", api.model, name="api_model"),
    re_path(r"^v1(?:/.*)?$", api.nothing),
    path("setup/<str:token>/", setup.first_administrator, name="setup"),
    path("review/", review.queue.queue, name="review"),
    path("review/next", review.queue.following, name="review_next"),
    path("review/export/", review.custody.export_transcripts, name="review_export"),
    path("review/holds/", review.custody.legal_holds, name="legal_holds"),
    path("review/holds/<int:hold_id>/release", review.custody.release_hold, name="release_hold"),
    path(_review, review.transcript.transcript, name="review_transcript"),
    path(_review + "purpose", review.transcript.purpose, name="review_purpose"),
    path(_review + "news", review.transcript.news, name="review_news"),
    path(_review + "identity", review.transcript.identity, name="review_identity"),
    path(_reviewed + "assign", review.decide.assign, name="review_assign"),
    path(_reviewed + "decide", review.decide.decide, name="review_decide"),
    path(_reviewed + "answer", review.decide.answer, name="review_answer"),
    path(_reviewed + "timeline.json", review.transcript.timeline, name="review_timeline"),
    path("operate/status/", operate.status, name="operator_status"),
    path("operate/status/stream", operate.stream_test, name="operator_stream_test"),
    path("operate/metrics/", operate.metrics, name="operator_metrics"),
    path("operate/metrics/usage.csv", operate.usage_csv, name="operator_usage"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
    # The socket's path belongs to delivery.routing; the name is for reverse(), and a plain request
    # to it finds the conversation's page.
    path(
        "ws/" + _conversation,
        RedirectView.as_view(pattern_name="conversation"),
        name="socket",
    ),
]
