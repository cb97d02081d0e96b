"""The files of the frontend guide, written out for one generation of the AI SDK as an app would hold them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from tests.node import Node
from tests.stack import REPOSITORY

FOLDER = Path(__file__).parent
GUIDE = (REPOSITORY / "docs" / "guide" / "frontend.md").read_text("utf-8")
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```tsx?\n(.*?)```", GUIDE, re.DOTALL))

_SHARED = ("actions.ts", "token.ts")
#: What a page of each generation is made of, and its pages by name.
USED = {
    "5": (*_SHARED, "conversation5.tsx"),
    "6": (*_SHARED, "conversation.tsx", "sse.tsx", "page.tsx"),
    "7": (*_SHARED, "conversation.tsx", "sse.tsx", "page.tsx", "websocket.tsx", "trigger.tsx", "trigger-page.tsx"),
}
PAGES = {
    "5": {"ai5-sse": "conversation5"},
    "6": {"ai6-sse": "sse"},
    "7": {"ai7-sse": "sse", "ai7-ws": "websocket", "ai7-trigger": "trigger"},
}
_USER = "export async function currentUser(): Promise<string> {\n  return 'ada';\n}\n"
_ENTRY = """
import {{ createRoot }} from 'react-dom/client';
import {{ Chat }} from './{file}';

createRoot(document.getElementById('root')!).render(<Chat {{...(window as any).given}} />);
"""


@dataclass(frozen=True)
class App:
    """A folder with the guide's files."""

    folder: Path
    generation: str

    def check(self, node: Node) -> str:
        """What the compiler says; empty when it has nothing to say."""
        return _run_tsc(node, self.folder)

    def build(self, node: Node, gateway_url: str) -> None:
        """Bundle its pages and its server actions."""
        entries = {f"entry-{name}": str(self.folder / f"entry-{name}.tsx") for name in PAGES[self.generation]}
        define = {
            "process.env.NEXT_PUBLIC_CHATAGENT_URL": json.dumps(gateway_url),
            "process.env.NEXT_PUBLIC_AI": json.dumps(self.generation),
        }
        given = {"folder": str(self.folder), "generation": self.generation, "entries": entries, "define": define}
        node.run(FOLDER / "build.mjs", json.dumps(given))


def write_app(folder: Path, generation: str) -> App:
    """Write the files of the guide that this generation uses, and what the app brings itself."""
    folder.mkdir()
    (folder / "node_modules").symlink_to(FOLDER / "node_modules")
    for name in USED[generation]:
        (folder / name).write_text(FILES[name])
    (folder / "user.ts").write_text(_USER)
    for page, file in PAGES[generation].items():
        (folder / f"entry-{page}.tsx").write_text(_ENTRY.format(file=file))
    paths = {"ai": [f"./node_modules/ai{generation}"], "@ai-sdk/react": [f"./node_modules/react{generation}"]}
    options = {
        "strict": True,
        "noEmit": True,
        "skipLibCheck": True,
        "noUnusedLocals": True,
        "jsx": "react-jsx",
        "target": "es2022",
        "module": "esnext",
        "moduleResolution": "bundler",
        "types": ["node", "react"],
        "lib": ["es2023", "dom", "dom.iterable"],
        "paths": paths,
    }
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "include": ["*.ts", "*.tsx"]}))
    return App(folder, generation)


def _run_tsc(node: Node, folder: Path) -> str:
    script = FOLDER / "node_modules" / "typescript" / "bin" / "tsc"
    return node.run(script, "-p", str(folder), check=False)
