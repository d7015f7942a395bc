"""A page as a real browser shows it: headless Chromium, without a network."""

import json
import re
import shutil
import subprocess
from html import unescape

import pytest

NAMES = ('chromium', 'chromium-headless-shell', 'chromium-browser', 'google-chrome')
# No name is ever resolved, and nothing is written outside the folder of the test.
OPTIONS = (
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--host-resolver-rules=MAP * ~NOTFOUND',
    '--hide-scrollbars',
    '--force-device-scale-factor=1',
)
# Written into the page once all is loaded; --dump-dom prints it.
REPORT = """
<script>
const problems = [];
window.addEventListener('error', event => problems.push(String(event.message || event.target.src)), true);
window.addEventListener('load', () => {
  const box = element => { const b = element.getBoundingClientRect(); return [b.width, b.height]; };
  const shown = {
    problems,
    title: document.title,
    text: document.body.innerText,
    images: [...document.images].map(i => [i.complete, i.naturalWidth, ...box(i)]),
    plots: [...document.querySelectorAll('svg')].map(s => [...box(s), s.querySelectorAll('circle').length]),
    fetched: performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith('data:')),
    beyond: [...document.querySelectorAll('svg text')].filter(t => {
      const a = t.getBoundingClientRect(), b = t.ownerSVGElement.getBoundingClientRect();
      return a.left < b.left - 1 || a.right > b.right + 1 || a.top < b.top - 1 || a.bottom > b.bottom + 1;
    }).map(t => t.textContent),
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  };
  const result = document.createElement('pre');
  result.id = 'shown';
  result.textContent = JSON.stringify(shown);
  document.body.append(result);
});
</script>
"""


def find():
    """Return the path of a browser, or skip the test."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    pytest.skip('no Chromium on this machine: apt-get install chromium-headless-shell')


def shown(page, folder):
    """Open a page, a path, and return what a person would see of it; see REPORT."""
    watched = folder / 'watched.html'
    watched.write_text(
        page.read_text(encoding='utf-8').replace('<head>', f'<head>{REPORT}', 1), encoding='utf-8'
    )
    text = _run(folder, '--dump-dom', '--virtual-time-budget=10000', watched.as_uri())
    (found,) = re.findall(r'<pre id="shown">(.*?)</pre>', text, re.DOTALL)
    return json.loads(unescape(found))


def screenshot(page, path, size=(1180, 2400)):
    """Write a picture of a page."""
    _run(path.parent, f'--screenshot={path}', f'--window-size={size[0]},{size[1]}', page.as_uri())


def _run(folder, *options):
    profile = f'--user-data-dir={folder / "profile"}'
    done = subprocess.run(
        [find(), *OPTIONS, profile, *options], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
