"""The model of a Parley without OPENAI_BASE_URL: SmolLM2-135M on llama.cpp, in a child process.

    LocalModel ──spawns──▶ child.py (xllamacpp's server, loopback only, its own key)
        │  ◀──{"port": …}──┘   │
        └── GET /health, end of input = exit

supervisor.py   the states and the restarts; what the rest of Parley uses
process.py      one child: spawn, hear, ask, end
child.py        what runs in it; started by its path, knows nothing of the others
"""

from chat.local_model.supervisor import LocalModel, ModelState

__all__ = ["LocalModel", "ModelState"]
