if vim.g.loaded_qsum then
  return
end
vim.g.loaded_qsum = true

vim.api.nvim_create_user_command('Qsum', function(arguments)
  require('qsum.commands').run(arguments)
end, {
  nargs = 1,
  complete = function(lead)
    return require('qsum.commands').complete(lead)
  end,
  desc = 'Section summaries: section, document, update, refresh, outline, status, log',
})

vim.api.nvim_create_autocmd('LspAttach', {
  group = vim.api.nvim_create_augroup('qsum', {}),
  callback = function(event)
    local client = vim.lsp.get_client_by_id(event.data.client_id)
    if client and client.name == 'qsum' then
      require('qsum.lenses').attach(event.buf)
    end
  end,
})
