"""Django's admin: people are managed here, and the record is read.

    readonly.py     what every admin of a record shares: nobody writes
    filters.py      the filters beside the lists; none lists what grows
    search.py       what the search box understands
    transcripts.py  conversations and messages
    generations.py  how each reply came about
    proofs.py       verdicts and receipts
    transcript.py   the page that shows a conversation; tree.py is its order, facts.py its terms
    custody.py      the access log, legal holds, tombstones
assistants.py   assistants with all their versions
    moderation.py   policy and rules of moderation; trying.py tries them out
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
from chat.admin.custody import AccessEntryAdmin, LegalHoldAdmin, TombstoneAdmin
from chat.admin.generations import GenerationAdmin
from chat.admin.moderation import ModerationRuleAdmin, PolicyRuleAdmin
from chat.admin.people import UserAdmin
from chat.admin.proofs import ReceiptAdmin, VerdictAdmin
from chat.admin.tool_servers import ToolServerAdmin
from chat.admin.transcripts import ConversationAdmin, MessageAdmin
from chat.models import Invitation

__all__ = [
    "AccessEntryAdmin",
    "ApiKeyAdmin",
    "AssistantAdmin",
    "ConversationAdmin",
    "GenerationAdmin",
    "InvitationAdmin",
    "LegalHoldAdmin",
    "MessageAdmin",
    "ModerationRuleAdmin",
    "PolicyRuleAdmin",
    "ReceiptAdmin",
    "TombstoneAdmin",
    "ToolServerAdmin",
    "UserAdmin",
    "VerdictAdmin",
]

admin.site.site_header = admin.site.site_title = "Parley"
admin.site.index_title = _("Administration")
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.register(Invitation, InvitationAdmin)
