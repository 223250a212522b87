'use strict';
// The page asks the same commands as everybody else, every two seconds while it is seen.
const every = 2000;
let mayChange = false;
let before = null; // the counters of the last time, for rates

const $ = id => document.getElementById(id);

// make is an element with text that is never taken for markup.
function make(tag, text, className) {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  if (className) e.className = className;
  return e;
}

async function ask(command) {
  const answer = await fetch('api/v1/' + command, { headers: { Accept: 'application/json' } });
  const body = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(body.error), { status: answer.status });
  return body;
}

async function change(command, args, question) {
  if (!confirm(question)) return;
  try {
    const answer = await fetch('api/v1/' + command, {
      method: 'POST', headers: { 'X-Howdah': '1', 'Content-Type': 'application/json' }, body: JSON.stringify({ args })
    });
    const body = await answer.json();
    $('result').textContent = command + ': ' + (answer.ok ? body.rows[0].result : body.error);
  } catch (e) {
    $('result').textContent = command + ': ' + e.message;
  }
  refresh();
}

// table fills a box with an answer; action makes a button for a row.
function table(box, answer, columns, action) {
  if (answer.rows.length === 0) {
    box.replaceChildren(make('p', 'none', 'empty'));
    return;
  }
  const t = make('table'), head = make('tr');
  for (const c of columns) head.append(make('th', c.replaceAll('_', ' '), typeof answer.rows[0][c] === 'number' ? 'number' : ''));
  if (action) head.append(make('th', ''));
  t.append(make('thead'));
  t.tHead.append(head);
  const body = make('tbody');
  for (const row of answer.rows) {
    const tr = make('tr');
    for (const c of columns) {
      let value = row[c];
      if (c === 'at' || c === 'since') value = value ? new Date(value).toLocaleString() : '';
      tr.append(make('td', value, typeof row[c] === 'number' ? 'number' : ''));
    }
    if (action) {
      const td = make('td');
      td.append(action(row));
      tr.append(td);
    }
    body.append(tr);
  }
  t.append(body);
  box.replaceChildren(t);
}

function size(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let i = 0;
  while (bytes >= 1024 && i < units.length - 1) { bytes /= 1024; i++; }
  return (i ? bytes.toFixed(1) : bytes) + ' ' + units[i];
}

function topology(nodes) {
  $('topology').replaceChildren(...nodes.rows.map(n => {
    const card = make('article', undefined, 'node ' + n.state);
    const line = make('div');
    line.append(make('b', n.name), make('span', n.role, 'role ' + n.role));
    card.append(line, make('p', n.state + ' · ' + n.host + ':' + n.port + ' · weight ' + n.weight));
    if (n.role === 'standby' && n.state === 'up') {
      card.append(make('p', 'lag ' + size(n.lag_bytes) + (n.horizon_ms ? ' · shows all up to ' + n.horizon_ms + ' ms ago' : '')));
    } else if (n.role === 'primary') {
      card.append(make('p', 'position ' + n.position));
    }
    if (n.reason) card.append(make('p', n.reason, 'why'));
    return card;
  }));
}

function traffic(nodes) {
  const now = Date.now();
  const rates = nodes.rows.map(n => {
    const old = before && before.nodes[n.name];
    const seconds = before ? (now - before.at) / 1000 : 1;
    return { name: n.name, reads: old ? Math.max(0, n.reads - old.reads) / seconds : 0, writes: old ? Math.max(0, n.writes - old.writes) / seconds : 0 };
  });
  before = { at: now, nodes: Object.fromEntries(nodes.rows.map(n => [n.name, n])) };
  const most = Math.max(1, ...rates.map(r => r.reads + r.writes));
  const ns = 'http://www.w3.org/2000/svg';
  $('traffic').replaceChildren(...rates.map(r => {
    const row = make('div', undefined, 'bar'), svg = document.createElementNS(ns, 'svg');
    svg.setAttribute('viewBox', '0 0 100 10');
    svg.setAttribute('preserveAspectRatio', 'none');
    let x = 0;
    for (const kind of ['reads', 'writes']) {
      const rect = document.createElementNS(ns, 'rect'), width = 100 * r[kind] / most;
      for (const [k, v] of Object.entries({ x, y: 0, width, height: 10, class: kind })) rect.setAttribute(k, v);
      svg.append(rect);
      x += width;
    }
    row.append(make('span', r.name), svg, make('span', r.reads.toFixed(0) + ' r, ' + r.writes.toFixed(0) + ' w'));
    return row;
  }));
}

async function optional(box, command, columns) {
  try {
    table($(box), await ask(command), columns);
  } catch (e) {
    $(box).replaceChildren(make('p', e.message, 'empty'));
  }
}

async function refresh() {
  try {
    const [status, nodes, pools, sessions, decisions, events] = await Promise.all(['status', 'nodes', 'pools', 'sessions', 'decisions', 'events'].map(ask));
    const s = Object.fromEntries(status.rows.map(r => [r.item, r.value]));
    $('summary').textContent = s.version + ' · ' + s.state + ' · ' + s['listens on'] + ' · ' + s.clients + ' clients · ' + s['nodes up'] + ' nodes up';
    const alarm = s.primary === 'none' ? 'There is no primary: writes wait.' : '';
    $('alarm').textContent = alarm;
    $('alarm').hidden = !alarm;
    topology(nodes);
    traffic(nodes);
    table($('pools'), pools, ['name', 'open', 'lent', 'idle', 'waiting']);
    $('session-count').textContent = sessions.rows.length;
    sessions.rows.length = Math.min(sessions.rows.length, 200);
    table($('sessions'), sessions, ['session', 'user', 'database', 'application', 'client', 'state', 'servers'], mayChange && (row => {
      const b = make('button', 'end');
      b.type = 'button';
      b.onclick = () => change('kill', [String(row.session)], 'End session ' + row.session + ' of ' + row.user + '?');
      return b;
    }));
    decisions.rows.sort((a, b) => b.statements - a.statements);
    table($('decisions'), decisions, ['reason', 'statements']);
    events.rows.reverse();
    table($('events'), events, ['at', 'node', 'what', 'why']);
    await optional('watchdog', 'watchdog', ['name', 'host', 'state', 'leader', 'address']);
    document.body.dataset.ready = 'yes';
  } catch (e) {
    $('alarm').textContent = 'howdah does not answer: ' + e.message;
    $('alarm').hidden = false;
  }
}

async function start() {
  try {
    mayChange = (await ask('whoami')).may_change;
  } catch (e) { /* refresh says it */ }
  $('actions').hidden = !mayChange;
  for (const b of document.querySelectorAll('button[data-command]')) {
    b.onclick = () => change(b.dataset.command, [], b.textContent + '?');
  }
  await refresh();
  setInterval(() => { if (!document.hidden) refresh(); }, every);
}
start();
