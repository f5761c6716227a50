-- A split with the sections of a page and their summaries. It follows the cursor; <CR> goes to a section.
local client = require('qsum.client')

local M = {}

local namespace = vim.api.nvim_create_namespace('qsum.outline')
local WIDTH = 48
local STATUSLINE = ' Summaries%= <CR> go  s summarize  q close '

---@class qsum.View
---@field buffer integer the split's buffer
---@field window integer its window
---@field page integer the buffer that it shows
---@field rows table[] for each line of the split: the section that it belongs to
local view

local function wrapped(text, width)
  local lines, line = {}, ''
  for word in text:gmatch('%S+') do
    if line ~= '' and vim.fn.strdisplaywidth(line .. ' ' .. word) > width then
      table.insert(lines, line)
      line = word
    else
      line = line == '' and word or line .. ' ' .. word
    end
  end
  if line ~= '' then
    table.insert(lines, line)
  end
  return lines
end

local function summary_of(section)
  if type(section.summary) == 'string' and section.summary ~= '' then
    return section.summary, section.state == 'stale' and 'WarningMsg' or 'Comment'
  end
  return section.running and 'Summarizing…' or 'No summary yet', 'NonText'
end

local function add(lines, rows, marks, section, width)
  local indent = ' ' .. string.rep('  ', math.max(section.level - 1, 0))
  local title = section.title ~= '' and section.title or (section.level == 0 and 'Introduction' or '(no title)')
  table.insert(lines, indent .. title)
  table.insert(rows, section)
  table.insert(marks, { line = #lines - 1, group = 'Title' })
  local summary, group = summary_of(section)
  for _, line in ipairs(wrapped(summary, width - #indent - 2)) do
    table.insert(lines, indent .. '  ' .. line)
    table.insert(rows, section)
    table.insert(marks, { line = #lines - 1, group = group })
  end
end

local function is_open()
  return view ~= nil and vim.api.nvim_win_is_valid(view.window) and vim.api.nvim_buf_is_valid(view.buffer)
end

local function current_section(rows, line)
  local found
  for _, section in ipairs(rows) do
    if section.range.start.line <= line then
      found = section
    end
  end
  return found
end

local function follow()
  if not is_open() or vim.api.nvim_get_current_buf() ~= view.page then
    return
  end
  local section = current_section(view.rows, vim.api.nvim_win_get_cursor(0)[1] - 1)
  for row, one in ipairs(view.rows) do
    if section and one.id == section.id then
      vim.api.nvim_win_set_cursor(view.window, { row, 0 })
      return
    end
  end
end

local function show(outline)
  local lines, rows, marks = {}, {}, {}
  local width = vim.api.nvim_win_get_width(view.window) - 2
  if outline.message ~= '' then
    for _, line in ipairs(wrapped(outline.message, width)) do
      table.insert(lines, line)
      table.insert(rows, { id = '', range = { start = { line = 0 } } })
      table.insert(marks, { line = #lines - 1, group = 'WarningMsg' })
    end
  end
  for _, section in ipairs(outline.sections) do
    add(lines, rows, marks, section, width)
  end
  if #lines == 0 then
    lines[1] = ' This page has no sections yet.'
  end
  view.rows = rows
  vim.bo[view.buffer].modifiable = true
  vim.api.nvim_buf_set_lines(view.buffer, 0, -1, false, lines)
  vim.bo[view.buffer].modifiable = false
  vim.api.nvim_buf_clear_namespace(view.buffer, namespace, 0, -1)
  for _, mark in ipairs(marks) do
    vim.api.nvim_buf_set_extmark(view.buffer, namespace, mark.line, 0, {
      end_row = mark.line,
      end_col = #lines[mark.line + 1],
      hl_group = mark.group,
    })
  end
  follow()
end

local function refresh()
  if not is_open() or not client.of(view.page) then
    return
  end
  local page = view.page
  local params = { textDocument = { uri = vim.uri_from_bufnr(page) } }
  client.request(page, 'qsum/outline', params, function(err, outline)
    if err then
      vim.notify('qsum: ' .. (err.message or tostring(err)), vim.log.levels.ERROR)
    elseif type(outline) == 'table' and is_open() and view.page == page then
      show(outline)
    end
  end)
end

local function jump()
  local section = view.rows[vim.api.nvim_win_get_cursor(view.window)[1]]
  local window = vim.fn.bufwinid(view.page)
  if section and section.id ~= '' and window ~= -1 then
    vim.api.nvim_set_current_win(window)
    vim.cmd("normal! m'")
    vim.api.nvim_win_set_cursor(window, { section.range.start.line + 1, 0 })
    vim.cmd('normal! zt')
  end
end

local function summarize()
  local section = view.rows[vim.api.nvim_win_get_cursor(view.window)[1]]
  if section and section.id ~= '' then
    local arguments = { vim.uri_from_bufnr(view.page), section.range.start.line }
    client.execute(view.page, 'qsum.summarizeSection', arguments, refresh)
  end
end

local function watch()
  local group = vim.api.nvim_create_augroup('qsum.outline', {})
  vim.api.nvim_create_autocmd({ 'CursorMoved', 'CursorMovedI' }, { group = group, callback = follow })
  vim.api.nvim_create_autocmd({ 'TextChanged', 'InsertLeave' }, { group = group, callback = refresh })
  vim.api.nvim_create_autocmd('BufEnter', {
    group = group,
    callback = function(event)
      if is_open() and event.buf ~= view.page and client.of(event.buf) then
        view.page = event.buf
        refresh()
      end
    end,
  })
  vim.api.nvim_create_autocmd('WinClosed', {
    group = group,
    pattern = tostring(view.window),
    callback = function()
      vim.api.nvim_del_augroup_by_id(group)
      view = nil
    end,
  })
end

--- Opens the split beside a page; the cursor stays in the page.
function M.open(page)
  if is_open() then
    view.page = page
    refresh()
    return
  end
  if not client.of(page) then
    vim.notify('qsum: no server is attached to this buffer (see :checkhealth qsum)', vim.log.levels.WARN)
    return
  end
  local from = vim.api.nvim_get_current_win()
  vim.cmd('botright ' .. WIDTH .. 'vsplit')
  local window = vim.api.nvim_get_current_win()
  local buffer = vim.api.nvim_create_buf(false, true)
  vim.api.nvim_win_set_buf(window, buffer)
  vim.bo[buffer].bufhidden = 'wipe'
  vim.bo[buffer].filetype = 'qsum-outline'
  vim.bo[buffer].modifiable = false
  local look = {
    number = false,
    relativenumber = false,
    signcolumn = 'no',
    list = false,
    spell = false,
    wrap = true,
    cursorline = true,
    winfixwidth = true,
    fillchars = 'eob: ',
    statusline = STATUSLINE,
  }
  for option, value in pairs(look) do
    vim.wo[window][option] = value
  end
  view = { buffer = buffer, window = window, page = page, rows = {} }
  vim.keymap.set('n', '<CR>', jump, { buffer = buffer, desc = 'Go to the section' })
  vim.keymap.set('n', 's', summarize, { buffer = buffer, desc = 'Summarize the section' })
  vim.keymap.set('n', 'q', '<Cmd>close<CR>', { buffer = buffer, desc = 'Close the outline' })
  vim.api.nvim_set_current_win(from)
  watch()
  refresh()
end

--- Opens the split, or closes it.
function M.toggle(page)
  if is_open() then
    vim.api.nvim_win_close(view.window, true)
  else
    M.open(page)
  end
end

--- The server has new summaries of a document.
function M.summaries_changed(uri)
  if is_open() and vim.uri_from_bufnr(view.page) == uri then
    refresh()
  end
end

return M
