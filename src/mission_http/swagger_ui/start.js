// Renders openapi.json, which lies beside the page, with Swagger UI.
window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
  filter: true,
  showExtensions: true,
  validatorUrl: null,
});
