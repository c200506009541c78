// Forms that are sent: which one, never what is in it. By attribute, since a
// field named "id" hides the form's own property.
on("submit", (event) => {
  const attribute = (/** @type {string} */ name) => event.target.getAttribute(name);
  eider("Form: Submission", { p: { form: attribute("id") || attribute("name") || undefined } });
});
