// Gives each record a title: the text of the setting `template`, in which `{field}` stands for the record's value.

import { write } from "flexcore:plugin/log@0.1.0";

const schema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  properties: { template: { type: "string", minLength: 1 }, field: { type: "string", default: "title" } },
  required: ["template"],
  additionalProperties: false,
};

export function info() {
  return { name: "titles", version: "0.1.0", pluginType: "transformer", description: "Gives each record a title." };
}

export function configSchema() {
  return JSON.stringify(schema);
}

export function validate(config) {
  const { template } = JSON.parse(config);
  if (typeof template === "string" && template.length > 0) return [];
  return [{ pointer: "/template", message: "write a text, in which `{field}` stands for the value of a field" }];
}

export function execute({ config, input }) {
  const { template, field = "title" } = JSON.parse(config);
  if (input.tag !== "records") {
    throw Object.assign(new Error(), { payload: { class: "data", message: "there are no records to work on" } });
  }
  const val = input.val.map(({ dataStream, json }) => {
    const record = JSON.parse(json);
    record[field] = template.replace(/\{(\w+)\}/g, (_, name) => record[name] ?? "");
    return { dataStream, json: JSON.stringify(record) };
  });
  write("info", `${val.length} titles`);
  return { tag: "records", val };
}
