"""What is evaluated inside the page."""

# What has the focus, and whether that can be seen.
FOCUSED = """
(() => {
  const e = document.activeElement;
  const style = getComputedStyle(e);
  const ring = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  return { what: `${e.tagName.toLowerCase()}.${e.className?.baseVal ?? e.className}#${e.id}`, ring: ring || e === document.body };
})()
"""

# Form fields without a label, tables without a caption.
NAMELESS = """
[...document.querySelectorAll('input, select')].filter((e) => e.labels.length === 0 && !e.getAttribute('aria-label')).map((e) => e.outerHTML)
  .concat([...document.querySelectorAll('table')].filter((t) => !t.caption?.textContent).map(() => 'a table without a caption'))
"""

# Headings that skip a level, identifiers that stand twice, header cells without a scope.
SHAPE = """
(() => {
  const wrong = [];
  let level = 0;
  for (const h of document.querySelectorAll('h1, h2, h3, h4')) {
    if (h.offsetParent === null) continue;
    const now = Number(h.tagName[1]);
    if (now > level + 1) wrong.push(`${h.tagName} after level ${level}: ${h.textContent}`);
    level = now;
  }
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  wrong.push(...ids.filter((id, i) => ids.indexOf(id) !== i).map((id) => `twice: ${id}`));
  wrong.push(...[...document.querySelectorAll('th:not([scope])')].map((e) => `no scope: ${e.outerHTML}`));
  return wrong;
})()
"""

# Text that stands out too little from what is behind it (WCAG 2, 1.4.3), and the least contrast found.
CONTRAST = """
(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const ground = (e) => {
    const layers = [];
    for (; e; e = e.parentElement) layers.push(rgba(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255, 1]);
  };
  const light = (c) => {
    const [r, g, b] = c.slice(0, 3).map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const poor = [];
  let least = 21;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || !e.checkVisibility({ visibilityProperty: true })) continue;
    const style = getComputedStyle(e);
    if (style.clipPath !== 'none' || e.closest('.visually-hidden, button:disabled, noscript')) continue;
    const under = ground(e);
    const ink = over(rgba(e.namespaceURI.endsWith('svg') ? style.fill : style.color), under);
    const [a, b] = [light(ink), light(under)].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    least = Math.min(least, contrast);
    if (contrast < 4.5) poor.push(`${contrast.toFixed(2)} ${e.tagName}.${e.className?.baseVal ?? e.className}: ${e.textContent.slice(0, 40)}`);
  }
  return [poor.slice(0, 10), least];
})()
"""

# Parts that are worth a look of their own; each ends with true, or with what it found.
UNITS = {
    "events come out whole, however they were cut": """
        const { Frames } = await import('/ui/stream.js');
        const text = ': alive\\n\\nevent: snapshot\\nid: 7\\ndata: {"a":1}\\n\\nevent: change\\r\\ndata: one\\r\\ndata: two\\r\\n\\r\\n';
        const want = [{ type: 'snapshot', id: '7', data: '{"a":1}' }, { type: 'change', id: null, data: 'one\\ntwo' }];
        for (let size = 1; size <= text.length; size += 1) {
          const frames = new Frames();
          const got = [];
          for (let at = 0; at < text.length; at += size) got.push(...frames.push(text.slice(at, at + size)));
          if (JSON.stringify(got) !== JSON.stringify(want)) return `${size}: ${JSON.stringify(got)}`;
        }
        return true;
    """,
    "a plane in eight dimensions is found again": """
        const { project, distance } = await import('/ui/projection.js');
        const at = (x, y) => ({ Vec: [x * 0.6, y, 0, x * 0.8, 0, 0, 0, 0], Height: 0, Adjustment: 0 });
        const places = [[0, 0], [3, 0], [0, 4], [5, 5], [-2, 1]].map(([x, y], i) => ({ name: `n${i}`, coord: at(x, y) }));
        const { points, kept } = project(places);
        if (Math.abs(kept - 1) > 1e-9) return kept;
        for (let i = 0; i < 5; i += 1) for (let j = 0; j < 5; j += 1) {
          const flat = Math.hypot(points[i].x - points[j].x, points[i].y - points[j].y);
          if (Math.abs(flat - distance(places[i].coord, places[j].coord)) > 1e-9) return `${i} ${j}: ${flat}`;
        }
        const turned = new Map(points.map((p) => [p.name, { name: p.name, x: -p.y, y: -p.x }]));
        for (const p of project(places, turned).points) {
          const old = turned.get(p.name);
          if (Math.hypot(p.x - old.x, p.y - old.y) > 1e-9) return `${p.name} moved`;
        }
        return project([]).points.length === 0 && project([places[0]]).points[0].x === 0;
    """,
    "shares are read off the steps": """
        const { quantile, steps } = await import('/ui/charts.js');
        const ages = { count: 10, sum_s: 1, buckets: [{ le_s: 0.001, count: 5 }, { le_s: 0.01, count: 8 }] };
        const got = [0.5, 0.6, 0.9].map((share) => quantile(ages, share));
        const want = [{ seconds: 0.001, beyond: false }, { seconds: 0.01, beyond: false }, { seconds: 0.01, beyond: true }];
        if (JSON.stringify(got) !== JSON.stringify(want)) return JSON.stringify(got);
        if (JSON.stringify(steps(ages).map(({ n }) => n)) !== '[5,3,2]') return JSON.stringify(steps(ages));
        return quantile({ count: 0, buckets: [] }, 0.5) === null;
    """,
    "what a host's failure does is told once": """
        const { Store, EVENTS_MAX } = await import('/ui/store.js');
        const store = new Store();
        const member = (status) => ({ name: 'N1', status, tags: {}, generation: 1, address: 'a', incarnation: 0, rtt_ms: null, version: '', held: false });
        const instance = (id, status) => ({ node: 'N1', address: 'x', port: 1, status, service: { ID: id, Service: 'Web', Tags: [], Meta: {} }, checks: [] });
        store.takeSnapshot({ index: 1, members: [member('alive')], instances: [instance('a', 'passing'), instance('b', 'passing')], checks: [] });
        const change = (index, more) => store.takeChange({ index, at_unix_ms: 1000, node: 'N1', service: 'web', ...more });
        change(2, { kind: 'member-changed', member: member('failed') });
        change(3, { kind: 'check-changed', previous: 'passing', status: 'critical', check: { id: 'serfHealth', status: 'critical', service_id: null } });
        change(4, { kind: 'instance-changed', instance: instance('a', 'critical') });
        change(5, { kind: 'instance-changed', instance: instance('b', 'critical') });
        const told = store.events.map(({ subject, text, count }) => `${subject} ${text} ${count}`);
        if (JSON.stringify(told) !== '["a became critical 2","N1 failed 1"]') return JSON.stringify(told);
        if ([...store.services.get('web').instances.values()].some(({ status }) => status !== 'critical')) return 'status';
        for (let i = 6; i < 2000; i += 1) change(i, { kind: 'member-changed', member: member(i % 2 ? 'alive' : 'failed') });
        if (store.events.length !== EVENTS_MAX) return store.events.length;
        change(2001, { kind: 'instance-removed', instance: instance('a', null) });
        change(2002, { kind: 'instance-removed', instance: instance('b', null) });
        return store.services.size === 0 && store.instances.size === 0 && store.last === 2002;
    """,
    "what was before the page is told as it was": """
        const { Store } = await import('/ui/store.js');
        const store = new Store();
        const member = (status) => ({ name: 'n1', status, tags: {}, generation: 1, address: 'a' });
        const change = (index, status) => ({ index, at_unix_ms: index * 1000, node: 'n1', service: null, kind: 'member-changed', member: member(status) });
        const serf = { index: 4, at_unix_ms: 4000, node: 'n1', service: null, kind: 'check-changed', previous: 'passing', status: 'critical', check: { id: 'serfHealth', status: 'critical', service_id: null } };
        const history = [change(1, 'alive'), change(2, 'suspect'), change(3, 'failed'), serf, change(5, 'alive'), change(6, 'left')];
        store.takeSnapshot({ index: 6, members: [member('left')], instances: [], checks: [] });
        store.takeChange(change(7, 'alive'));
        store.takeHistory([...history, change(7, 'alive')], 6);
        store.takeHistory(history, 6);
        const told = store.events.map(({ text }) => text).join();
        const want = 'joined again,left,is back,failed,does not answer: suspected,joined';
        return told === want || told;
    """,
    "of a large directory only what is looked at is kept": """
        const { Store } = await import('/ui/store.js');
        const store = new Store();
        store.large = true;
        const instance = (id) => ({ node: 'n1', address: 'x', port: 1, status: 'passing', service: { ID: id, Service: 'web', Tags: [], Meta: {} }, checks: [] });
        store.takeSnapshot({ index: 1, members: [], instances: [], checks: [] });
        store.takeChange({ index: 2, at_unix_ms: 1, node: 'n1', service: 'web', kind: 'instance-added', instance: instance('a') });
        if (store.instances.size !== 0 || store.events.length !== 1) return 'kept';
        store.takeSnapshot({ index: 1, service: 'web', instances: [instance('a'), instance('b')] });
        store.apply({ index: 2, node: 'n1', service: 'web', kind: 'instance-removed', instance: instance('a') });
        store.takeSnapshot({ index: 3, members: [], instances: [], checks: [] });
        return store.instances.size === 1 && store.services.get('web').instances.size === 1;
    """,
    "figures are short and names in order": """
        const f = await import('/ui/format.js');
        const got = [f.duration(59.9), f.duration(7300), f.duration(null), f.shortTime(0.00018), f.shortTime(0.0024), f.bytes(1500), f.endpoint('::1', 80), f.figure(0.04)];
        const want = ['59 s', '2 h', '–', '180 µs', '2.4 ms', '1.5 kB', '[::1]:80', '0.0'];
        if (JSON.stringify(got) !== JSON.stringify(want)) return JSON.stringify(got);
        return ['web-10', 'web-2', 'Web-1'].sort(f.byName).join() === 'Web-1,web-2,web-10';
    """,
}
