// The search that Kibana sends for a panel, made of the panel as it is in the file.

const SECOND = 1000;
const STEPS = [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10800, 43200, 86400].map((s) => s * SECOND);

/// A usual interval with which the range has about that many buckets.
export function interval(range, buckets) {
  const wanted = (range.to - range.from) / buckets;
  return STEPS.find((step) => step >= wanted) ?? STEPS.at(-1);
}

/// The panel's own range, else the dashboard's.
export function rangeOf(panel, range) {
  const from = panel.embeddableConfig.timeRange?.from;
  const minutes = from?.match(/^now-(\d+)m$/)?.[1];
  return minutes ? { from: range.to - minutes * 60 * SECOND, to: range.to } : range;
}

export function kuery(text) {
  if (text.startsWith('not ')) return { bool: { must_not: kuery(text.slice(4)) } };
  const [field, value] = text.split(/: (.*)/s);
  return { term: { [field]: JSON.parse(value) } };
}

const time = (range) => ({ range: { '@timestamp': { gte: range.from, lte: range.to, format: 'epoch_millis' } } });

function metric(column) {
  const field = column.sourceField;
  const text = column.filter?.query;
  const of = (aggs, filter) => (filter ? { filter, aggs } : aggs);
  switch (column.operationType) {
    case 'count':
      return text ? { filter: kuery(text) } : undefined;
    case 'last_value': {
      const sort = [{ [column.params.sortField]: 'desc' }];
      return of({ value: { top_hits: { size: 1, _source: false, fields: [field], sort } } }, { exists: { field } });
    }
    default: {
      const name = { max: 'max', average: 'avg', unique_count: 'cardinality' }[column.operationType];
      const agg = { [name]: { field } };
      return text ? of({ value: agg }, kuery(text)) : agg;
    }
  }
}

/// Body of the search for a Lens panel.
export function lensSearch(attributes, range, step, choice) {
  const layer = Object.values(attributes.state.datasourceStates.formBased.layers)[0];
  const metrics = layer.columnOrder.filter((id) => !layer.columns[id].isBucketed);
  const aggs = Object.fromEntries(metrics.map((id) => [id, metric(layer.columns[id])]).filter(([, agg]) => agg));
  let inner = { ...aggs };
  for (const id of layer.columnOrder.filter((id) => layer.columns[id].isBucketed).reverse()) {
    const { operationType, sourceField, params } = layer.columns[id];
    let bucket;
    if (operationType === 'date_histogram') {
      const bounds = { min: range.from, max: range.to };
      bucket = { date_histogram: { field: sourceField, fixed_interval: `${step}ms`, min_doc_count: 0, extended_bounds: bounds } };
    } else {
      const by = params.orderBy.columnId;
      if (by && aggs[by]) inner[by] = aggs[by];
      const order = { [by ? (aggs[by] ? by : '_count') : '_key']: params.orderDirection };
      bucket = { terms: { field: sourceField, size: params.size, order } };
    }
    inner = { [id]: { ...bucket, aggs: inner } };
  }
  const text = attributes.state.query.query;
  const filter = [time(range), ...(text ? [kuery(text)] : []), ...choice];
  return { size: 0, track_total_hits: true, query: { bool: { filter } }, aggs: inner };
}

/// Rows of the answer: a value by the id of each column.
export function rows(attributes, answer) {
  const layer = Object.values(attributes.state.datasourceStates.formBased.layers)[0];
  const buckets = layer.columnOrder.filter((id) => layer.columns[id].isBucketed);
  const metrics = layer.columnOrder.filter((id) => !layer.columns[id].isBucketed);
  const value = (bucket, id) => {
    const column = layer.columns[id];
    const found = bucket[id];
    if (column.operationType === 'count') return found ? found.doc_count : bucket.doc_count;
    if (column.operationType === 'last_value') {
      return found.value.hits.hits[0]?.fields[column.sourceField]?.[0] ?? null;
    }
    return column.filter ? found.value.value : found.value;
  };
  const walk = (bucket, depth, row) => {
    if (depth === buckets.length) return [{ ...row, ...Object.fromEntries(metrics.map((id) => [id, value(bucket, id)])) }];
    const id = buckets[depth];
    return bucket[id].buckets.flatMap((inner) => walk(inner, depth + 1, { ...row, [id]: inner.key }));
  };
  return walk({ ...answer.aggregations, doc_count: answer.hits.total.value }, 0, {});
}

/// The search of a Vega panel, Kibana's words replaced.
export function vegaSearch(spec, range, step, choice) {
  const body = structuredClone(spec.data.url.body);
  const histogram = body.aggs.time?.date_histogram;
  if (histogram) {
    delete histogram.interval;
    histogram.fixed_interval = `${step}ms`;
  }
  return { ...body, query: { bool: { filter: [time(range), ...choice] } } };
}
