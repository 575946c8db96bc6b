// Renders openapi.json, which lies beside the page, with Swagger UI.

// Swagger UI parses the whole document each time that it resolves a part of it, which takes seconds. All references of
// this document are to its own schemas, so an operation and the schemas that it leads to are enough.
const partOf = (spec, path) => {
  const [section, name] = path;
  if (section === undefined || name === "schemas") return spec;
  const paths = section === "paths" ? { [name]: spec.paths[name] } : {};
  const schemas = {};
  const wanted = [paths];
  while (wanted.length > 0) {
    const references = JSON.stringify(wanted.pop()).matchAll(/"#\/components\/schemas\/([^"]+)"/g);
    for (const [, schema] of references) {
      if (!(schema in schemas)) wanted.push((schemas[schema] = spec.components.schemas[schema]));
    }
  }
  return { ...spec, paths, components: { ...spec.components, schemas } };
};

const ResolveParts = ({ fn: { resolveSubtree } }) => ({
  fn: { resolveSubtree: (spec, path, options) => resolveSubtree(partOf(spec, path), path, options) },
});

window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
  filter: true,
  plugins: [ResolveParts],
  showExtensions: true,
  validatorUrl: null,
});
