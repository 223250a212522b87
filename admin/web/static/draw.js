'use strict';
// How answers look. Nothing here asks howdah for anything.
const $ = id => document.getElementById(id);

// make is an element with text that is never taken for markup.
function make(tag, text, className) {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  if (className) e.className = className;
  return e;
}

function drawn(tag, attributes) {
  const e = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  return e;
}

// none is what stands for an empty table.
function none(box, text) {
  box.replaceChildren(make('p', text, 'empty'));
}

const times = new Set(['at', 'since']);

// table fills a box with an answer; action makes a button for a row.
function table(box, answer, columns, action) {
  if (answer.rows.length === 0) {
    none(box, 'none');
    return;
  }
  const t = make('table'), head = make('tr');
  const isNumber = c => typeof answer.rows[0][c] === 'number';
  for (const c of columns) head.append(make('th', c.replaceAll('_', ' '), isNumber(c) ? 'number' : ''));
  if (action) head.append(make('th', ''));
  if (columns[0] !== 'item') {
    t.append(make('thead'));
    t.tHead.append(head);
  }
  const body = make('tbody');
  for (const row of answer.rows) {
    const tr = make('tr');
    for (const c of columns) {
      let value = row[c];
      if (times.has(c)) value = value ? new Date(value).toLocaleTimeString() : '';
      tr.append(make('td', value, isNumber(c) ? 'number' : ''));
    }
    if (action) {
      const td = make('td');
      td.append(action(row));
      tr.append(td);
    }
    body.append(tr);
  }
  t.append(body);
  const top = box.scrollTop, left = box.scrollLeft;
  box.replaceChildren(t);
  box.scrollTop = top;
  box.scrollLeft = left;
}

// facts are short texts under their names; those that are bad stand out.
function facts(box, all) {
  box.replaceChildren(...all.map(([name, value, bad]) => {
    const fact = make('div', undefined, bad ? 'fact bad' : 'fact');
    fact.append(make('dt', name), make('dd', value));
    return fact;
  }));
}

function alarms(lines) {
  $('alarm').replaceChildren(...lines.map(l => make('li', l)));
  $('alarm').hidden = !lines.length;
}

// statements lists examples, those that are the same in a row once.
function statements(box, rows, meanings) {
  if (rows.length === 0) {
    none(box, 'none yet');
    return;
  }
  const groups = [];
  for (const r of rows) {
    const last = groups.at(-1);
    if (last && ['node', 'reason', 'detail', 'statement'].every(c => last.row[c] === r[c])) last.times++;
    else groups.push({ row: r, times: 1 });
  }
  const top = box.scrollTop;
  box.replaceChildren(...groups.slice(0, 30).map(({ row, times }) => {
    const item = make('li'), line = make('p', undefined, 'faint'), why = make('b', row.reason);
    why.title = meanings[row.reason] || '';
    line.append(make('time', new Date(row.at).toLocaleTimeString()), make('span', row.node, 'role'), why);
    if (row.detail) line.append(make('span', row.detail));
    if (times > 1) line.append(make('span', times + ' times', 'times'));
    item.append(line, make('code', row.statement));
    return item;
  }));
  box.scrollTop = top;
}

function size(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let i = 0;
  while (bytes >= 1024 && i < units.length - 1) { bytes /= 1024; i++; }
  return (i ? bytes.toFixed(1) : bytes) + ' ' + units[i];
}

// kept is how many samples a curve has; ages are theirs.
const kept = 60;

// curve draws reads and writes per second, the latest to the right.
function curve(samples, most) {
  const svg = drawn('svg', { viewBox: '0 0 ' + (kept - 1) + ' 20', preserveAspectRatio: 'none', class: 'curve', role: 'img', 'aria-label': 'reads and writes per second' });
  for (const kind of ['reads', 'writes']) {
    const points = samples.map((s, i) => (kept - samples.length + i) + ',' + (19.5 - 18.5 * s[kind] / most).toFixed(2));
    if (points.length > 1) svg.append(drawn('polyline', { points: points.join(' '), class: kind }));
  }
  return svg;
}

// nodeCard shows a server; rate is its latest sample, buttons what may be done to it.
function nodeCard(n, samples, most, buttons) {
  const card = make('article', undefined, 'node ' + n.state), line = make('div', undefined, 'title');
  card.dataset.node = n.name;
  line.append(make('b', n.name), make('span', n.role, 'role ' + n.role), make('span', n.state, 'state'));
  card.append(line, make('p', n.host + ':' + n.port + ' · weight ' + n.weight));
  if (n.role === 'standby' && n.state === 'up') {
    card.append(make('p', 'lag ' + size(n.lag_bytes) + (n.horizon_ms ? ' · shows all up to ' + Math.round(n.horizon_ms) + ' ms ago' : '')), make('p', n.replication ? 'replication ' + n.replication : 'no replication from the primary is seen', n.replication ? '' : 'faint'));
  } else if (n.role === 'primary') {
    card.append(make('p', 'position ' + n.position));
  }
  if (n.reason) card.append(make('p', n.reason, 'why'));
  const now = samples[samples.length - 1] || { reads: 0, writes: 0 }, rates = make('p', undefined, 'rates');
  rates.append(make('span', now.reads.toFixed(0) + ' reads/s', 'reads'), make('span', now.writes.toFixed(0) + ' writes/s', 'writes'));
  if (n.errors) rates.append(make('span', n.errors + ' errors', 'errors'));
  card.append(curve(samples, most), rates);
  if (buttons.length) {
    const menu = make('details'), box = make('div', undefined, 'buttons');
    menu.append(make('summary', 'Actions'));
    box.append(...buttons);
    menu.append(box);
    card.append(menu);
  }
  return card;
}

// shares draws the reasons as bars.
function shares(box, rows) {
  if (rows.length === 0) {
    none(box, 'nothing was decided yet');
    return;
  }
  const all = rows.reduce((sum, r) => sum + r.statements, 0);
  box.replaceChildren(...rows.map(r => {
    const row = make('div', undefined, 'share'), svg = drawn('svg', { viewBox: '0 0 100 10', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
    svg.append(drawn('rect', { x: 0, y: 0, width: 100 * r.statements / all, height: 10, class: 'reads' }));
    row.append(make('span', r.reason), svg, make('span', r.statements.toLocaleString() + ' · ' + (100 * r.statements / all).toFixed(1) + ' %'), make('small', r.meaning));
    return row;
  }));
}

// timeline lists events, the latest first.
function timeline(box, rows) {
  if (rows.length === 0) {
    none(box, 'none');
    return;
  }
  box.replaceChildren(...rows.map(e => {
    const bad = /\b(down|quarantine|suspect|none)\b/.test(e.what.split(',')[0]);
    const item = make('li', undefined, bad ? 'bad' : '');
    item.append(make('time', new Date(e.at).toLocaleString()), make('b', e.node || 'cluster'), make('span', e.what));
    if (e.why) item.append(make('small', e.why));
    return item;
  }));
}
