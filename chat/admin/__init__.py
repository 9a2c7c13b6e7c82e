"""Django's admin: people are managed here, and the record is read.

    readonly.py     what every admin of a record shares: nobody writes
    filters.py      the filters beside the lists; none lists what grows
    search.py       what the search box understands
    transcripts.py  conversations and messages
    generations.py  how each reply came about
    proofs.py       verdicts and receipts
    transcript.py   the page that shows a conversation; tree.py is its order, facts.py its terms
    assistants.py   assistants with all their versions
    people.py       users
    api_keys.py     keys for the API
    tool_servers.py servers of tools, and what they have

Signing in is allauth's page, so that it is the same, with the same limits, everywhere.
"""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from chat.accounts.admin_invitations import InvitationAdmin
from chat.admin.api_keys import ApiKeyAdmin
from chat.admin.assistants import AssistantAdmin
from chat.admin.generations import GenerationAdmin
from chat.admin.people import UserAdmin
from chat.admin.proofs import ReceiptAdmin, VerdictAdmin
from chat.admin.tool_servers import ToolServerAdmin
from chat.admin.transcripts import ConversationAdmin, MessageAdmin
from chat.models import Invitation

__all__ = [
    "ApiKeyAdmin",
    "AssistantAdmin",
    "ConversationAdmin",
    "GenerationAdmin",
    "InvitationAdmin",
    "MessageAdmin",
    "ReceiptAdmin",
    "ToolServerAdmin",
    "UserAdmin",
    "VerdictAdmin",
]

admin.site.site_header = admin.site.site_title = "Parley"
admin.site.index_title = _("Administration")
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.register(Invitation, InvitationAdmin)
