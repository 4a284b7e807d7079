#!/usr/bin/env python3
"""The house holds its own lines. Usage: house.py SOURCE BUILD

ARCHITECTURE.md lists the rooms, each under the ones that may use it. This reads that list, the includes of the sources and the
symbols of the objects in BUILD, and fails, with the file and the function, on
  - a call or an include that runs upward, from a room to one that stands above it;
  - a folder with sources that is not listed, or a room that is not there;
  - a room of more than FILES_MAX files or LINES_MAX lines;
  - a header whose guard is not its path, a line over COLUMNS_MAX columns, a tab, blanks at the end of a line;
  - a unit test that is not built, or that has a main of its own beside tests/lib/check_main.c;
  - a file of raft/node or raft/serve that writes what another one owns (raft/part/parts.h says who owns what);
  - JSON typed by hand, beside what TYPED lists, and jansson's readers called by anything but base/json.c.
It first holds both lists turned round, which must find much, and planted JSON: a check that cannot fail is none."""
import json
import os
import re
import subprocess
import sys

FILES_MAX, LINES_MAX, COLUMNS_MAX = 25, 5500, 140
FOLDERS = ("base", "crypto", "store", "raft", "net", "cmd")


def rooms_of(text):
    """The rooms, lowest first, from the table under "## Rooms"."""
    section = text.split("\n## Rooms\n", 1)[1].split("\n## ", 1)[0]
    return list(reversed(re.findall(r"^\| `([\w/]+?)/?` \|", section, re.M)))


def objects(source, build, rooms):
    """(source file, object file) of what was built of the product."""
    for row in json.load(open(os.path.join(build, "compile_commands.json"), encoding="utf-8")):
        path = os.path.relpath(os.path.join(row["directory"], row["file"]), source)
        out = os.path.join(row["directory"], row["output"])
        if os.path.dirname(path) in rooms and os.path.exists(out):
            yield path, out


def symbols(path):
    """Names that an object defines for others, and names that it wants."""
    out = subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in out.splitlines()]
    return {r[2] for r in rows if len(r) == 3 and r[1] in "TDBRC"}, {r[1] for r in rows if len(r) == 2 and r[0] == "U"}


def arrows_of(source, build, rooms, files):
    """{(from, to, name)}: calls and includes between our files, and how many objects were read."""
    named = {path: symbols(out) for path, out in objects(source, build, rooms)}
    owner = {name: path for path, (defined, _) in named.items() for name in defined if name != "main"}
    arrows = {(path, owner[n], n) for path, (_, wanted) in named.items() for n in wanted if n in owner}
    for path, text in files.items():
        arrows |= {(path, to, "#include") for to in re.findall(r'^#include "([^"]+)"', text, re.M)}
    return arrows, len(named)


def upward(arrows, rank):
    """Those that run from a room to one above it, or to none."""
    return sorted(a for a in arrows if rank.get(os.path.dirname(a[1]), 1 << 30) > rank[os.path.dirname(a[0])])


def product(source):
    """{path: text} of every source of the product."""
    found = {}
    for folder in FOLDERS:
        for where, _, names in os.walk(os.path.join(source, folder)):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    path = os.path.relpath(os.path.join(where, name), source)
                    found[path] = open(os.path.join(source, path), encoding="utf-8").read()
    return found


def form(path, text):
    """What is wrong with the form of one file."""
    if path.endswith(".h"):
        guard = "REGENT_" + re.sub(r"[/.]", "_", path).upper()
        if f"#ifndef {guard}\n#define {guard}\n" not in text:
            yield f"{path}: its guard is not {guard}"
    for n, line in enumerate(text.split("\n"), 1):
        if len(line) > COLUMNS_MAX:
            yield f"{path}:{n}: {len(line)} columns, over {COLUMNS_MAX}"
        if "\t" in line or line != line.rstrip():
            yield f"{path}:{n}: a tab, or blanks at its end"


def sizes(rooms, files):
    """What is wrong with the rooms themselves."""
    inside = {room: [p for p in files if os.path.dirname(p) == room] for room in rooms}
    for room, paths in inside.items():
        lines = sum(files[p].count("\n") for p in paths)
        if not paths:
            yield f"{room}: ARCHITECTURE.md lists it, and nothing stands there"
        if len(paths) > FILES_MAX or lines > LINES_MAX:
            yield f"{room}: {len(paths)} files, {lines} lines; a room has at most {FILES_MAX} and {LINES_MAX}"
    for path in files:
        if os.path.dirname(path) not in inside:
            yield f"{path}: stands in no room that ARCHITECTURE.md lists"


def units(source, build):
    """What is wrong with the unit tests: tests/unit/meson.build does not list one, or one runs its tests by itself."""
    built = {os.path.relpath(os.path.join(row["directory"], row["file"]), source)
             for row in json.load(open(os.path.join(build, "compile_commands.json"), encoding="utf-8"))}
    for where, _, names in os.walk(os.path.join(source, "tests", "unit")):
        for path in (os.path.relpath(os.path.join(where, n), source) for n in sorted(names) if re.fullmatch(r"test_.*\.c", n)):
            if path not in built:
                yield f"{path}: tests/unit/meson.build does not list it"
            if re.search(r"^int main\(", open(os.path.join(source, path), encoding="utf-8").read(), re.M):
                yield f"{path}: has a main; tests/lib/check_main.h registers tests"


NODE = ("raft/node/", "raft/serve/")
PARTS, WHOLE = "raft/part/parts.h", "raft/part/node.h"


def owners_of(parts, text):
    """{field of struct rg_node: files that may write it}, from the comments above the structs of parts.h, and node.h beside it."""
    owners = {name: set(re.findall(r"\b(\w+\.c)\b", comment))
              for comment, name in re.findall(r"/\*((?:(?!\*/).)*?)\*/\n(?:(?!/\*)(?:enum|extern) [^/]*?;\n|enum \w+ \{[^}]*\};\n)*"
                                              r"struct (node_\w+) \{", parts, re.S)}
    fields = re.findall(r"^    struct (node_\w+) (\w+);", text.split("\nstruct rg_node {", 1)[1].split("\n};", 1)[0], re.M)
    return {field: owners.get(name, set()) for name, field in fields}


def foreign_writes(owners, files):
    """Assignments to a field, or its address given away, in a file that does not own it. node.c makes and frees buffers."""
    write = re.compile(r"(?P<up>\+\+|--)?\bnode->(?P<f>\w+)(?:\.\w+|->\w+|\[[^\]]*\])*\s*(?P<op>=(?!=)|\+=|-=|\|=|&=|\+\+|--)?")
    given = re.compile(r"(?P<by>rg_buf_span\(|[!=]= |rg_\w+_(?:de)?init\()?&node->(?P<f>\w+)")
    for path, text in files.items():
        name = os.path.basename(path)
        for n, line in enumerate(text.split("\n"), 1):
            found = [m["f"] for m in write.finditer(line) if m["up"] or m["op"]]
            found += [m["f"] for m in given.finditer(line) if not (m["by"] or "").startswith(("rg_buf_span", "!=", "=="))
                      and not (m["by"] and name == "node.c")]
            for field in found:
                if field in owners and name not in owners[field]:
                    yield f"{path}:{n}: writes node->{field}, which is {' and '.join(sorted(owners[field]))}'s"


def ownership(files):
    """What is wrong with who writes the node."""
    owners = owners_of(files[PARTS], files[WHOLE])
    sources = {p: t for p, t in files.items() if p.startswith(NODE) and p.endswith(".c")}
    nobodys = [f"{PARTS}: nobody owns node->{f}" for f, o in owners.items() if not o or not o <= {os.path.basename(p) for p in sources}]
    turned = list(foreign_writes({f: {"none.c"} for f in owners}, sources))
    if len(owners) < 15 or len(turned) < 200:
        nobodys.append(f"{PARTS}: only {len(owners)} owned fields were found, and {len(turned)} writes to them")
    return nobodys + list(foreign_writes(owners, sources))


BLOCK = re.compile(r"/\* Hand-made JSON begins: .*?/\* Hand-made JSON ends\. \*/", re.S)
BLOCK_IN = "net/v1/check.c"
# (file, how the literal begins, why it is no JSON that somebody writes beside base/json_writer.h)
TYPED = [
    ("cmd/bench/check.c", r'\"allowed\":true', "is looked for in an answer"),
    ("cmd/bench/check.c", r'{\"allowed\":true,\"pad\":\"', "what nginx is set up to answer with, of the size of ours"),
    ("cmd/bench/check.c", r'{\"format\":\"idc-org-dataset/1\"', "an organisation to import: data"),
    ("cmd/bench/state.c", r'\"UserId\":\"', "is looked for in an answer"),
    ("cmd/bench/state.c", r'\"GroupId\":\"', "is looked for in an answer"),
    ("cmd/bench/write.c", r'\"UserId\":\"', "is looked for in an answer"),
    ("cmd/dev/cmd_proxy.c", r'{\"ok\":true', "is looked for in an answer"),
    ("cmd/dev/proxy_control.c", r'{\"ok\":false,\"code\":\"InternalError\"', "the answer when there is no memory to write one"),
]


def literals(text):
    """(line, text) of each C string outside comments, neighbours joined."""
    string = r'"(?:\\.|[^"\\\n])*"'
    for m in re.finditer(rf"/\*.*?\*/|//[^\n]*|'(?:\\.|[^'\\\n])+'|({string}(?:\s*{string})*)", text, re.S):
        if m[1]:
            yield text.count("\n", 0, m.start()) + 1, "".join(s[1:-1] for s in re.findall(string, m[1]))


def typed_json(files, typed):
    """Where JSON is typed by hand or read past base/json.h, and what of the list is not there."""
    unseen = set((path, begins) for path, begins, _ in typed)
    for path, text in sorted(files.items()):
        if path == BLOCK_IN:
            text = BLOCK.sub(lambda m: "\n" * m[0].count("\n"), text)
        for line, literal in literals(text):
            if not re.search(r'\\"\w+\\"\s*:', literal):
                continue
            allowed = {(p, b) for p, b, _ in typed if p == path and literal.startswith(b)}
            unseen -= allowed
            if not allowed:
                yield f"{path}:{line}: JSON typed by hand: base/json_writer.h writes it ({literal[:40]})"
        if path != "base/json.c":
            for m in re.finditer(r"\bjson_load\w*\s*\(", text):
                line = text.count("\n", 0, m.start()) + 1
                yield f"{path}:{line}: {m[0]}: JSON is read by rg_json_parse (base/json.h)"
    for path, begins in sorted(unseen):
        yield f"{path}: TYPED lists {begins}, which is not there"


PLANTED = {
    "cmd/a.c": r'''/* printf("{\"a\":1}") */ char c = '"';''' + "\n" + r'''printf("said \"%s\": no, \"word\" alone", x); f("x:1"); rg_json_number(json_load, "a");''',
    "cmd/b.c": r'''printf("{\"a\":%d}", 1);''',
    "cmd/c.c": r'''printf("{\"a"''' + "\n  " + r'''"\" :1}");''',
    "cmd/d.c": r'''json_load_file("x", 0, NULL); json_loadb (p, n, 0, NULL);''',
    "cmd/e.c": r'''find("\"a\":1"); put("{\"a\":1}");''',
    "base/json.c": "json_loadb(p, n, 0, NULL);",
    BLOCK_IN: r'''/* Hand-made JSON begins: x */ put("{\"a\":1}"); /* Hand-made JSON ends. */ put("{\"b\":2}");''',
}
PLANTED_TYPED = [("cmd/e.c", r'\"a\":', "planted"), ("cmd/f.c", "x", "planted: not there")]


def json_by_hand(files):
    """What is wrong with JSON, and with this check."""
    found = [w.split(":")[0] for w in typed_json(PLANTED, PLANTED_TYPED)]
    if found != ["cmd/b.c", "cmd/c.c", "cmd/d.c", "cmd/d.c", "cmd/e.c", BLOCK_IN, "cmd/f.c"]:
        yield f"of the planted JSON this was found: {found}"
    if len(BLOCK.findall(files[BLOCK_IN])) != 1 or sum(len(BLOCK.findall(t)) for t in files.values()) != 1:
        yield f"{BLOCK_IN} has the one block of hand-made JSON"
    yield from typed_json(files, TYPED)


def main():
    source, build = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    rooms = rooms_of(open(os.path.join(source, "ARCHITECTURE.md"), encoding="utf-8").read())
    files = product(source)
    wrong = list(sizes(rooms, files)) + [w for path in sorted(files) for w in form(path, files[path])] + list(units(source, build)) + ownership(files)
    wrong += json_by_hand(files)
    if not wrong:
        arrows, objects_n = arrows_of(source, build, rooms, files)
        wrong = [f"{path} -> {to}: {name}" for path, to, name in upward(arrows, {r: i for i, r in enumerate(rooms)})]
        turned = upward(arrows, {r: -i for i, r in enumerate(rooms)})
        if objects_n < 100 or len(turned) < 1000:
            wrong.append(f"only {objects_n} objects were read, and the list upside down shows only {len(turned)} arrows")
        print(f"{len(files)} files, {objects_n} objects, {len(rooms)} rooms, {len(arrows)} arrows")
    print("\n".join(wrong) if wrong else "none runs upward")
    return 1 if wrong else 0


sys.exit(main())
