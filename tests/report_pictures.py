#!/usr/bin/env python3
"""Reports as a browser shows them: screenshots 400 and 1400 pixels wide, light and dark, are not
blank, nothing is wider than the page or lies outside its plot, and the console is silent.
Usage: report_pictures.py PAGE... [--keep FOLDER]. Ends with 77 where there is no Chromium.
"""
import argparse
import html
import json
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

WIDTHS, SCHEMES, HEIGHT = (400, 1400), ("light", "dark"), 3000
PIXELS = {False: 0.5, True: 1}  # per pixel of the page; whole ones for a person who --keeps them

# Measured inside the page. It goes into a copy: the report itself lets no script run.
MEASURE = """<script>addEventListener('load', () => {
  const wide = innerWidth, outside = [];
  for (const text of document.querySelectorAll('svg > text, svg > circle, .tile, h1, h2, p')) {
    const box = text.getBoundingClientRect();
    if (box.left < -0.5 || box.right > wide + 0.5) outside.push(text.textContent.slice(0, 40));
  }
  const small = [...document.querySelectorAll('svg')].filter(
    svg => svg.getBoundingClientRect().width < 300).length;
  const tick = document.querySelector('svg .tick');
  parent.document.body.innerHTML = '<pre id="measured">' + JSON.stringify({
    wide, page: document.documentElement.scrollWidth, outside, small,
    letters: tick ? 11 * tick.closest('svg').getBoundingClientRect().width / 440 : 11}) + '</pre>';
})</script>"""


def chromium():
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


def frame(folder, width, content):
    """A page around the page: windows narrower than 500 pixels are not to be had, frames are."""
    around = pathlib.Path(folder, "frame.html")
    around.write_text(f'<!doctype html><meta charset="utf-8"><body style="margin: 0"><iframe '
                      f'style="border: 0; width: {width}px; height: {HEIGHT}px" {content}></iframe>')
    return around.as_uri()


def browse(width, scheme, scale, *arguments):
    command = [chromium(), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
               "--enable-logging=stderr", f"--force-device-scale-factor={scale}",
               f"--window-size={max(width, 500)},{HEIGHT}",
               f"--blink-settings=preferredColorScheme={SCHEMES.index('dark') - SCHEMES.index(scheme)}"]
    done = subprocess.run(command + list(arguments), capture_output=True, text=True, timeout=120)
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    if done.returncode or said:
        sys.exit(f"{arguments[-1]}: the browser says: {said or done.stderr[-2000:]}")
    return done.stdout


def pixels(path):
    """Rows of a PNG with 8 bits per sample, as Chromium writes them."""
    data, at, packed = path.read_bytes(), 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
        if kind == b"IDAT":
            packed += body
        at += size + 12
    assert depth == 8 and colour in (2, 6), (depth, colour)
    step, raw, rows = 3 if colour == 2 else 4, zlib.decompress(packed), []
    before = bytes(width * step)
    for y in range(height):
        start = y * (width * step + 1)
        row, how = bytearray(raw[start + 1:start + 1 + width * step]), raw[start]
        for i in range(len(row)) if how else ():
            left = row[i - step] if i >= step else 0
            corner = before[i - step] if i >= step else 0
            up = before[i]
            if how == 4:
                guess = left + up - corner
                row[i] += -row[i] + (row[i] + min((left, up, corner),
                                                  key=lambda p: abs(guess - p))) % 256
            else:
                row[i] = (row[i] + (left, up, (left + up) // 2)[how - 1]) % 256
        rows.append(bytes(row))
        before = rows[-1]
    return [[row[i:i + 3] for i in range(0, len(row), step)] for row in rows]


def check_picture(path, width, scheme, scale):
    rows = [row[:int(width * scale)] for row in pixels(path)]
    paper = rows[0][0]
    bright = sum(paper) / 3
    inked = sum(pixel != paper for row in rows for pixel in row) / (len(rows) * len(rows[0]))
    colours = len({pixel for row in rows for pixel in row})
    if (bright > 128) != (scheme == "light"):
        sys.exit(f"{path}: the paper is {tuple(paper)} in a {scheme} page")
    if not 0.02 < inked < 0.6 or colours < 50:
        sys.exit(f"{path}: {100 * inked:.1f} % of it is inked in {colours} colours")


def check_layout(page, width, folder):
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
    content = 'srcdoc="' + html.escape(text.replace("</body>", MEASURE + "</body>")) + '"'
    shown = browse(width, "light", 1, "--dump-dom", frame(folder, width, content))
    found = json.loads(html.unescape(re.search(r'<pre id="measured">(.*?)</pre>', shown, re.S)[1]))
    if found["wide"] != width or found["page"] > width:
        sys.exit(f"{page}: {found['page']} pixels wide in a window of {found['wide']} ({width})")
    if found["outside"] or found["small"] or found["letters"] < 8.5:
        sys.exit(f"{page} at {width}: {found}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pages", nargs="+", type=pathlib.Path)
    parser.add_argument("--keep", type=pathlib.Path, default=None)
    arguments = parser.parse_args()
    if chromium() is None:
        print("report_pictures.py: there is no Chromium here")
        sys.exit(77)
    scratch = pathlib.Path(tempfile.mkdtemp())
    folder = arguments.keep or scratch
    scale = PIXELS[folder != scratch]
    folder.mkdir(parents=True, exist_ok=True)
    for page in map(pathlib.Path.resolve, arguments.pages):
        if "<script" in page.read_text().lower():
            sys.exit(f"{page}: it has a script")
        for width in WIDTHS:
            check_layout(page, width, scratch)
            for scheme in SCHEMES:
                picture = folder / f"{page.stem}-{width}-{scheme}.png"
                browse(width, scheme, scale, f"--screenshot={picture}",
                       frame(scratch, width, f'src="{html.escape(page.as_uri())}"'))
                check_picture(picture, width, scheme, scale)
        print(f"{page}: right at {WIDTHS} pixels, light and dark")
    shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
