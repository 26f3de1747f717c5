// Renders each dashboard of kibana/mirrorlag.ndjson to a PNG: the panels' own searches, on a real Elasticsearch, drawn with Vega.
// It is a rendering, not a picture of Kibana: places, searches, colours and words are those of the file, the drawing is not Kibana's.
//
//   npm install && npm run render -- http://127.0.0.1:9200 [from] [to] [topic]
//
// Credentials: ES_USERNAME and ES_PASSWORD. INDEX: another index than the file's. The range is the last 15 minutes; the topic is that of the topic dashboard.

import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Resvg } from '@resvg/resvg-js';
import * as vega from 'vega';
import { compile } from 'vega-lite';
import { interval, lensSearch, rangeOf, rows, vegaSearch } from './question.mjs';

const CELL = { w: 30, h: 20 };
const MARGIN = 8;
const GROUND = '#1d1e24';
const PANEL = '#25262e';
const TEXT = '#dfe5ef';
const FAINT = '#98a2b3';
const FONT = 'DejaVu Sans, sans-serif';
const PALETTE = ['#6092C0', '#54B399', '#D36086', '#9170B8', '#CA8EAE', '#D6BF57', '#B9A888', '#DA8B45', '#AA6556', '#E7664C'];
const VEGA_CONFIG = {
  background: null,
  font: FONT,
  view: { stroke: null },
  axis: { labelColor: FAINT, titleColor: FAINT, gridColor: '#343741', domainColor: '#343741', tickColor: '#343741', titleFontWeight: 'normal' },
  legend: { labelColor: TEXT, titleColor: FAINT, titleFontWeight: 'normal', symbolType: 'square' },
  range: { category: PALETTE },
};

const here = dirname(fileURLToPath(import.meta.url));
const [url, from, to, topic] = process.argv.slice(2);
if (!url) throw new Error('which Elasticsearch? npm run render -- http://127.0.0.1:9200');
const now = to ? Date.parse(to) : Date.now();
const whole = { from: from ? Date.parse(from) : now - 15 * 60_000, to: now };

async function ask(index, body) {
  const { ES_USERNAME: user = 'elastic', ES_PASSWORD: password } = process.env;
  const headers = { 'content-type': 'application/json' };
  if (password) headers.authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const answer = await fetch(`${url}/${index}/_search?ignore_unavailable=true`, { method: 'POST', headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
  return answer.json();
}

const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]);
const words = (x, y, text, { size = 12, color = TEXT, anchor = 'start', weight = 'normal' } = {}) =>
  `<text x="${x}" y="${y}" font-family="${FONT}" font-size="${size}" font-weight="${weight}" fill="${color}" text-anchor="${anchor}">${escaped(text)}</text>`;

function formatted(column, value) {
  if (value === null || value === undefined) return '-';
  if (column.dataType === 'date') return new Date(value).toISOString().slice(11, 19);
  const params = column.params?.format?.params;
  if (typeof value !== 'number' || !params) return String(value);
  if (params.compact && value >= 1000) return value >= 1e6 ? `${(value / 1e6).toFixed(1)}m` : `${(value / 1e3).toFixed(1)}k`;
  return `${value.toLocaleString('en', { maximumFractionDigits: params.compact ? 1 : params.decimals })}${params.suffix ?? ''}`;
}

function colored(palette, value) {
  const stops = palette?.params.colorStops ?? [];
  return value === null ? undefined : stops.filter((stop) => value >= stop.stop).at(-1)?.color;
}

const columnsOf = (attributes) => Object.values(attributes.state.datasourceStates.formBased.layers)[0].columns;

function drawNumber(attributes, found, w, h) {
  const { metricAccessor: id, palette, collapseFn } = attributes.state.visualization;
  const values = found.map((row) => row[id]).filter((value) => value !== null);
  const value = collapseFn ? values.reduce((sum, v) => sum + v, 0) : (values[0] ?? null);
  const color = colored(palette, value) ?? PANEL;
  const ink = color === PANEL ? TEXT : '#1a1c21';
  return `<rect width="${w}" height="${h}" rx="3" fill="${color}"/>`
    + words(w - 10, h - 14, formatted(columnsOf(attributes)[id], value), { size: 34, color: ink, anchor: 'end', weight: 'bold' })
    + words(10, 34, columnsOf(attributes)[id].label, { size: 11, color: ink });
}

function drawTable(attributes, found, w, h) {
  const columns = attributes.state.visualization.columns;
  const all = columnsOf(attributes);
  const wide = (column) => (['string'].includes(all[column.columnId].dataType) ? (column.columnId === 'reason' ? 4 : 1.8) : 1);
  const total = columns.reduce((sum, column) => sum + wide(column), 0);
  const lines = [];
  const each = (y, draw) => {
    let x = 8;
    for (const column of columns) {
      const width = (wide(column) / total) * (w - 16);
      lines.push(draw(column, x, y, width));
      x += width;
    }
  };
  const cut = (text, width) => (text.length > width / 6.4 ? `${text.slice(0, Math.max(1, Math.floor(width / 6.4) - 1))}…` : text);
  each(40, (column, x, y, width) => words(x + 4, y, cut(all[column.columnId].label, width), { size: 11, color: FAINT, weight: 'bold' }));
  found.slice(0, Math.floor((h - 50) / 20)).forEach((row, at) => {
    each(60 + at * 20, (column, x, y, width) => {
      const value = row[column.columnId];
      const color = column.colorMode && colored(column.palette, value);
      const cell = color ? `<rect x="${x + 1}" y="${y - 14}" width="${width - 2}" height="19" fill="${color}"/>` : '';
      const text = cut(formatted(all[column.columnId], value), width);
      return cell + words(x + 4, y, text, { size: 11, color: color ? '#1a1c21' : TEXT });
    });
  });
  return lines.join('');
}

async function svgOf(spec, w, h) {
  const view = new vega.View(vega.parse(compile({ ...spec, width: w, height: h, autosize: { type: 'fit', contains: 'padding' }, config: VEGA_CONFIG }).spec), { renderer: 'none' });
  const svg = await view.toSVG();
  return svg.replace('<svg ', '<svg x="8" y="24" ');
}

function axesSpec(attributes, found, step) {
  const { layers: [layer], yTitle } = attributes.state.visualization;
  const all = columnsOf(attributes);
  const several = layer.accessors.length > 1;
  const values = found.flatMap((row) => layer.accessors.map((id) => ({
    time: row[layer.xAccessor], end: row[layer.xAccessor] + step,
    series: several ? all[id].label : (row[layer.splitAccessor] ?? all[id].label), value: row[id],
  })));
  const order = several ? layer.accessors.map((id) => all[id].label) : [...new Set(values.map((v) => v.series))];
  const colors = layer.accessors.map((id, at) => layer.yConfig.find((c) => c.forAccessor === id)?.color ?? PALETTE[at % PALETTE.length]);
  const scale = several ? { domain: order, range: colors } : { domain: order };
  const color = { field: 'series', type: 'nominal', title: null, scale, legend: order.length > 1 || layer.splitAccessor ? { labelLimit: 140 } : null };
  const y = { field: 'value', type: 'quantitative', title: yTitle };
  if (layer.seriesType === 'bar_stacked') {
    const height = new Map();
    const bars = order.flatMap((series) => values.filter((v) => v.series === series && v.value).map((v) => {
      const low = height.get(v.time) ?? 0;
      height.set(v.time, low + v.value);
      return { ...v, low, high: low + v.value };
    }));
    const x = { field: 'time', type: 'temporal', title: null };
    return { data: { values: bars }, mark: { type: 'rect' }, encoding: { x, x2: { field: 'end' }, y: { ...y, field: 'high' }, y2: { field: 'low' }, color } };
  }
  // A gap stays a gap.
  return { data: { values }, mark: { type: 'line', invalid: 'break-paths-filter-domains' }, encoding: { x: { field: 'time', type: 'temporal', title: null }, y, color } };
}

async function drawPanel(panel, index, w, h, choice) {
  const config = panel.embeddableConfig;
  const range = rangeOf(panel, whole);
  const step = interval(range, 90);
  if (config.savedVis?.type === 'markdown') return words(12, 26, config.savedVis.params.markdown.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1'), { size: 13, color: '#6092C0' });
  if (config.savedVis) {
    const spec = JSON.parse(config.savedVis.params.spec);
    const answer = await ask(index, vegaSearch(spec, range, step, choice));
    const values = spec.data.format.property.split('.').reduce((value, name) => value[name], answer);
    return svgOf({ ...spec, data: { values } }, w - 16, h - 32);
  }
  if (panel.type === 'search') return words(12, 44, 'the saved search: documents, newest first', { color: FAINT });
  const { attributes } = config;
  const answer = await ask(index, lensSearch(attributes, range, step, choice));
  const found = rows(attributes, answer);
  switch (attributes.visualizationType) {
    case 'lnsMetric': return drawNumber(attributes, found, w, h);
    case 'lnsDatatable': return drawTable(attributes, found, w, h);
    default: return svgOf(axesSpec(attributes, found, step), w - 16, h - 32);
  }
}

async function drawDashboard(dashboard, index) {
  const panels = JSON.parse(dashboard.attributes.panelsJSON);
  const isTopic = dashboard.id === 'mirrorlag-topic';
  const choice = isTopic && topic ? [{ term: { topic } }] : [];
  const parts = [];
  const shown = panels.filter((panel) => panel.type !== 'search');
  const height = Math.max(...shown.map(({ gridData: { y, h } }) => y + h)) * CELL.h + 44;
  for (const panel of shown) {
    const { x, y, w, h } = panel.gridData;
    const [width, tall] = [w * CELL.w - MARGIN, h * CELL.h - MARGIN];
    const drawn = await drawPanel(panel, index, width, tall, choice);
    parts.push(`<g transform="translate(${x * CELL.w + MARGIN / 2}, ${y * CELL.h + 36})"><rect width="${width}" height="${tall}" rx="3" fill="${PANEL}"/>${drawn}`
      + words(10, 17, panel.title, { size: 12, weight: 'bold', color: panel.embeddableConfig.attributes?.visualizationType === 'lnsMetric' && drawn.includes('#1a1c21') ? '#1a1c21' : TEXT }) + '</g>');
  }
  const width = 48 * CELL.w;
  const title = dashboard.attributes.title + (choice.length ? ` (topic: ${topic})` : '');
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="100%" height="100%" fill="${GROUND}"/>`
    + words(10, 24, title, { size: 16, weight: 'bold' }) + words(width - 10, 24, 'rendering of the file with Vega, not Kibana', { size: 11, color: FAINT, anchor: 'end' }) + parts.join('') + '</svg>';
  const png = new Resvg(svg, { font: { loadSystemFonts: true, defaultFontFamily: 'DejaVu Sans' } }).render().asPng();
  const file = join(here, `${dashboard.id.replace('mirrorlag-', '')}.png`);
  writeFileSync(file, png);
  console.log(file, `${Math.round(png.length / 1024)} KiB`);
}

const objects = readFileSync(join(here, '../mirrorlag.ndjson'), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
const index = process.env.INDEX ?? objects.find((object) => object.type === 'index-pattern').attributes.title;
for (const dashboard of objects.filter((object) => object.type === 'dashboard')) await drawDashboard(dashboard, index);
