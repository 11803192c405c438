// Shows the description of the interface and sends requests. Everything that is shown is set as text.
"use strict";

const METHODS = ["get", "post", "put", "delete"];
const find = (id) => document.getElementById(id);
let token = "";

/** An element with what is in it: elements and texts. */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A schema with its references followed, as deep as a reader wants to see it. */
function resolved(document, schema, depth = 0) {
  if (schema === null || typeof schema !== "object" || depth > 8) return schema;
  if (Array.isArray(schema)) return schema.map((part) => resolved(document, part, depth + 1));
  if (typeof schema.$ref === "string") {
    const target = schema.$ref.slice(2).split("/").reduce((part, name) => part?.[name], document);
    return resolved(document, target, depth + 1);
  }
  const entries = Object.entries(schema);
  return Object.fromEntries(entries.map(([name, part]) => [name, resolved(document, part, depth + 1)]));
}

function parametersOf(operation, inputs) {
  if (!operation.parameters?.length) return "";
  const rows = operation.parameters.map((parameter) => {
    const input = make("input", { "aria-label": parameter.name });
    inputs.push({ parameter, input });
    const name = make("code", {}, parameter.name, parameter.required ? " *" : "");
    const about = parameter.description ?? parameter.schema?.description ?? "";
    return make("tr", {}, make("td", {}, name), make("td", {}, parameter.in),
      make("td", {}, about), make("td", {}, input));
  });
  const titles = ["Parameter", "In", "Meaning", "Value"].map((title) => make("th", {}, title));
  return make("table", {}, make("tr", {}, ...titles), ...rows);
}

/** The request that the inputs make. */
function requestOf(path, method, inputs, body) {
  const headers = { authorization: `Bearer ${token}` };
  const query = new URLSearchParams();
  for (const { parameter, input } of inputs) {
    if (input.value === "") continue;
    if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    if (parameter.in === "query") query.append(parameter.name, input.value);
    if (parameter.in === "header") headers[parameter.name] = input.value;
  }
  const options = { method: method.toUpperCase(), headers };
  if (body?.value) {
    headers["content-type"] = "application/json";
    options.body = body.value;
  }
  const text = query.toString();
  return [text ? `${path}?${text}` : path, options];
}

async function send(path, options, output) {
  output.textContent = "…";
  try {
    const answer = await fetch(path, options);
    if (answer.headers.get("content-type")?.startsWith("text/event-stream")) {
      return await follow(answer, output);
    }
    const text = await answer.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* it is no JSON */ }
    const id = answer.headers.get("x-request-id") ?? "";
    output.textContent = `${answer.status} ${answer.statusText}  ${id}\n\n${shown}`;
  } catch (error) {
    output.textContent = String(error);
  }
}

/** A live stream, for as long as the page is open. */
async function follow(answer, output) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  output.textContent = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    output.textContent = (output.textContent + value).slice(-20000);
  }
}

function show(document, path, method, operation) {
  const inputs = [];
  const schema = operation.requestBody?.content?.["application/json"]?.schema;
  const body = schema ? make("textarea", { "aria-label": "body" }) : null;
  const output = make("pre", { "aria-live": "polite" });
  const button = make("button", { type: "button" }, "Send");
  button.addEventListener("click", () => send(...requestOf(path, method, inputs, body), output));
  const word = make("span", { class: `method ${method}` }, method.toUpperCase());
  const details = make("details", { id: operation.operationId },
    make("summary", {}, word, make("code", {}, path), ` ${operation.summary ?? ""}`));
  // Made when it is opened: schemas are long.
  details.addEventListener("toggle", () => {
    if (details.childElementCount > 1) return;
    details.append(make("p", {}, operation.description ?? ""), parametersOf(operation, inputs));
    if (body) {
      const text = JSON.stringify(resolved(document, schema), null, 2);
      details.append(make("p", {}, "Body"), make("pre", {}, text), body);
    }
    for (const [status, response] of Object.entries(operation.responses ?? {})) {
      const content = Object.values(response.content ?? {})[0]?.schema;
      details.append(make("p", {}, `${status}: ${response.description}`));
      if (content && status !== "default") {
        details.append(make("pre", {}, JSON.stringify(resolved(document, content), null, 2)));
      }
    }
    details.append(button, output);
  });
  return details;
}

function showAll(description) {
  const byTag = new Map();
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const method of METHODS.filter((one) => methods[one])) {
      const operation = methods[method];
      const tag = operation.tags?.[0] ?? "other";
      byTag.set(tag, [...(byTag.get(tag) ?? []), show(description, path, method, operation)]);
    }
  }
  const sections = [...byTag].sort(([one], [other]) => one.localeCompare(other));
  find("operations").replaceChildren(
    ...sections.map(([tag, all]) => make("section", {}, make("h2", {}, tag), ...all)));
}

find("access").addEventListener("submit", async (event) => {
  event.preventDefault();
  token = find("token").value.trim();
  const answer = await fetch("openapi.json", { headers: { authorization: `Bearer ${token}` } });
  const description = await answer.json();
  if (!answer.ok) {
    find("said").textContent = `${description.code}: ${description.detail}`;
    return;
  }
  find("said").textContent = `${description.info.title} ${description.info.version}`;
  find("search-label").hidden = false;
  showAll(description);
});

find("search").addEventListener("input", (event) => {
  const wanted = event.target.value.toLowerCase();
  for (const one of document.querySelectorAll("details")) {
    one.hidden = !one.firstElementChild.textContent.toLowerCase().includes(wanted);
  }
});
