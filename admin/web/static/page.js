'use strict';
// The page asks the same commands as everybody else, every two seconds while it is seen.
const every = 2000;
let commands = []; // that the user may give
let before = null; // the counters of the last time
const history = {}; // of each node: samples of reads and writes per second

async function ask(command) {
  const answer = await fetch('api/v1/' + command, { headers: { Accept: 'application/json' } });
  const body = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(body.error), { status: answer.status });
  return body;
}

// sure has the user confirm.
function sure(question) {
  const dialog = $('ask');
  $('ask-what').textContent = question;
  dialog.returnValue = 'no';
  return new Promise(done => {
    dialog.onclose = () => { if (!dialog.open) done(dialog.returnValue === 'yes'); }; // not that of the question before
    dialog.showModal();
  });
}

async function change(command, args, question) {
  if (!await sure(question)) return;
  $('result').textContent = command + ' …';
  try {
    const answer = await fetch('api/v1/' + command, {
      method: 'POST', headers: { 'X-Howdah': '1', 'Content-Type': 'application/json' }, body: JSON.stringify({ args })
    });
    const body = await answer.json();
    const result = answer.ok && body.rows[0] ? Object.values(body.rows[0])[0] : body.error;
    $('result').textContent = [command, ...args].join(' ') + ': ' + result;
    $('result').className = answer.ok ? '' : 'why';
  } catch (e) {
    $('result').textContent = command + ': ' + e.message;
  }
  refresh();
}

function button(text, command, args, question) {
  const b = make('button', text);
  b.type = 'button';
  b.dataset.command = command;
  b.onclick = () => change(command, args, question);
  return b;
}

// values are what the first argument of a command can be, where that is known.
const values = { 'log-level': ['debug', 'info', 'warn', 'error'], stop: ['smart', 'fast', 'immediate'] };

// offer makes buttons of the commands that are about no node or session.
function offer() {
  const box = $('commands');
  for (const c of commands) {
    const first = (c.args || [])[0];
    if (first === 'NODE' || first === 'SESSION') continue;
    if (!values[c.name] && first && first[0] !== '[') continue;
    const row = make('p');
    row.append(make('b', c.name), ' ', make('span', c.summary, 'faint'), ' ');
    for (const v of values[c.name] || ['']) row.append(button(v || c.name, c.name, v ? [v] : [], c.name + ' ' + v + '?'), ' ');
    box.append(row);
  }
}

function nodeButtons(n) {
  return commands.filter(c => /^\[?NODE\]?$/.test((c.args || [])[0] || '')).map(c => button(c.name, c.name, [n.name], c.name + ' ' + n.name + '? It will ' + c.summary + '.'));
}

// sample takes in the nodes' counters.
function sample(nodes) {
  const now = Date.now();
  for (const n of nodes) {
    const samples = history[n.name] = history[n.name] || [], old = before && before.nodes[n.name];
    if (old) {
      const seconds = Math.max(0.1, (now - before.at) / 1000);
      samples.push({ reads: Math.max(0, n.reads - old.reads) / seconds, writes: Math.max(0, n.writes - old.writes) / seconds });
      if (samples.length > kept) samples.shift();
    }
  }
  before = { at: now, nodes: Object.fromEntries(nodes.map(n => [n.name, n])) };
}

function topology(nodes) {
  const open = new Set([...document.querySelectorAll('#topology details[open]')].map(d => d.parentElement.dataset.node));
  if ($('topology').contains(document.activeElement) && open.size) return; // somebody is about to choose
  const most = Math.max(1, ...Object.values(history).flat().map(s => Math.max(s.reads, s.writes)));
  const order = { primary: 0, standby: 1 };
  const sorted = [...nodes].sort((a, b) => (order[a.role] ?? 2) - (order[b.role] ?? 2) || a.node - b.node);
  $('topology').replaceChildren(...sorted.map(n => {
    const card = nodeCard(n, history[n.name] || [], most, nodeButtons(n));
    if (open.has(n.name)) card.querySelector('details').open = true;
    return card;
  }));
}

// watchdog shows the members and who has the address, or why there are none.
async function watchdog(there) {
  if (!there) {
    none($('watchdog'), 'this howdah has no watchdog');
    return;
  }
  try {
    const members = await ask('watchdog');
    for (const m of members.rows) m.leader = m.leader ? 'leader' : '';
    table($('quorum'), await ask('quorum'), ['item', 'value']);
    table($('watchdog'), members, ['name', 'state', 'leader', 'address', 'host', 'priority', 'fitness'].filter(c => members.columns.includes(c)));
  } catch (e) {
    none($('watchdog'), e.message);
  }
}

function kill(row) {
  return button('end', 'kill', [String(row.session)], 'End session ' + row.session + ' of ' + row.user + '?');
}

// overview is what matters most, and what is wrong.
function overview(s, failover, a) {
  const nodes = a.nodes.rows, gone = nodes.filter(n => n.state !== 'up' && n.state !== 'unused');
  const rate = kind => nodes.reduce((sum, n) => sum + ((history[n.name] || []).at(-1) || { [kind]: 0 })[kind], 0).toFixed(0);
  const waiting = a.waiters.rows.length + s['waiting for a primary'], watched = s.watchdog !== 'none';
  facts($('facts'), [
    ['primary', s.primary, s.primary === 'none'],
    ['servers up', s['nodes up'].replace(' of ', ' / '), gone.length > 0],
    ['clients', s.clients.split(' ')[0]],
    ['reads/s', rate('reads')],
    ['writes/s', rate('writes')],
    ['waiting', waiting, waiting > 0],
    ['failover', failover.mode + (failover.paused ? ', paused' : failover.phase === 'watch' ? '' : ', ' + failover.phase), failover.paused || failover.phase !== 'watch'],
    ...(watched ? [['leader', s.watchdog.replace(/.*leader /, '') || 'none', /leader $/.test(s.watchdog)]] : []),
    ...(s['floating address'] ? [['floating address', s['floating address']]] : [])
  ]);
  const wrong = gone.map(n => n.name + ' is ' + n.state + (n.reason ? ': ' + n.reason : ''));
  if (s.primary === 'none') wrong.unshift('There is no primary: writes wait' + (failover['waits for'] ? ' (' + failover['waits for'] + ')' : '') + '.');
  if (failover.paused) wrong.push('Failover is paused: nobody is promoted unasked until resume.');
  alarms(wrong);
  document.title = (wrong.length ? '\u26a0 ' : '') + 'howdah · ' + s['nodes up'].replace(' of ', '/') + ' up';
}

// shown is how many rows of a long table are shown.
const shown = 200;

async function refresh() {
  try {
    const names = ['status', 'nodes', 'pools', 'pool-users', 'waiters', 'sessions', 'decisions', 'examples', 'latency', 'pins', 'events', 'failover'];
    const answers = await Promise.all(names.map(ask)), a = Object.fromEntries(names.map((n, i) => [n, answers[i]]));
    const s = Object.fromEntries(a.status.rows.map(r => [r.item, r.value]));
    $('summary').textContent = [s.version.replace(/^howdah /, ''), s.state, 'listens on ' + s['listens on'], 'up since ' + new Date(s['up since']).toLocaleString()].join(' · ');
    sample(a.nodes.rows);
    topology(a.nodes.rows);
    const failover = Object.fromEntries(a.failover.rows.map(r => [r.item, r.value]));
    overview(s, failover, a);
    table($('pools'), a['pool-users'], ['name', 'user', 'database', 'open', 'lent', 'idle', 'waiting']);
    $('waiter-count').textContent = a.waiters.rows.length;
    table($('waiters'), a.waiters, ['place', 'name', 'user', 'database', 'waits_ms']);
    $('session-count').textContent = a.sessions.rows.length;
    a.sessions.rows.length = Math.min(a.sessions.rows.length, shown);
    table($('sessions'), a.sessions, ['session', 'user', 'database', 'application', 'client', 'state', 'mode', 'servers'], commands.some(c => c.name === 'kill') && kill);
    shares($('decisions'), a.decisions.rows.sort((x, y) => y.statements - x.statements));
    statements($('examples'), a.examples.rows, Object.fromEntries(a.decisions.rows.map(r => [r.reason, r.meaning])));
    table($('latency'), a.latency, ['name', 'route', 'count', 'average_ms', 'p95_ms', 'p99_ms']);
    table($('pins'), a.pins, ['session', 'user', 'what', 'reason']);
    a.failover.rows = a.failover.rows.filter(r => r.value !== '' && r.value !== 0 && r.value !== false);
    table($('failover'), a.failover, ['item', 'value']);
    timeline($('events'), a.events.rows.reverse());
    await watchdog(s.watchdog !== 'none');
    document.body.dataset.ready = 'yes';
    delete document.body.dataset.stale;
  } catch (e) {
    alarms(['howdah does not answer: ' + e.message]);
    document.body.dataset.stale = 'yes';
  }
}

async function start() {
  try {
    const who = await ask('whoami');
    if (who.may_change) commands = (await ask('')).commands.filter(c => c.changes);
    const user = $('user');
    if (who.user) user.textContent = who.user + (who.may_change ? '' : ' (may look only)');
    else {
      const link = make('a', 'Log in');
      link.href = 'login';
      user.append(link);
    }
  } catch (e) { /* refresh says it */ }
  $('actions').hidden = !commands.length;
  offer();
  await refresh();
  setInterval(() => { if (!document.hidden) refresh(); }, every);
}
start();
