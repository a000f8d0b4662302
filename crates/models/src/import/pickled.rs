//! What a pickle says: values and the nodes they share.

use super::element::Element;
use super::strided::Strided;

/// The position of a node.
pub(super) type Id = usize;

/// A value: small ones by themselves, containers by their node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    None,
    Bool,
    Int(i64),
    /// Something that is read over, by what it is.
    Opaque(&'static str),
    Text(&'a str),
    Tuple(Id),
    List(Id),
    Dict(Id),
    Global(Id),
    Instance(Id),
    Storage(Id),
    Tensor(Id),
}

/// Key and value pairs, as inserted.
pub(super) type Pairs<'a> = Vec<(Value<'a>, Value<'a>)>;

/// A module and a name in it, never looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name<'a> {
    pub(super) module: &'a str,
    pub(super) name: &'a str,
}

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.module, self.name)
    }
}

/// A run of elements in an entry of the archive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storage<'a> {
    pub(super) key: &'a str,
    /// `None` for bytes whose format the tensor tells.
    pub(super) element: Option<Element>,
    /// Elements, or bytes without a format.
    pub(super) count: u64,
}

/// A tensor and where its elements are.
#[derive(Debug, Clone)]
pub(super) struct TensorNode {
    pub(super) storage: Id,
    pub(super) element: Element,
    pub(super) view: Strided,
}

/// What a value with an identity holds.
#[derive(Debug)]
pub(super) enum Node<'a> {
    Values(Vec<Value<'a>>),
    Pairs(Pairs<'a>),
    Global(Name<'a>),
    Instance { class: Name<'a>, state: Option<Id> },
    Storage(Storage<'a>),
    Tensor(TensorNode),
}

/// What a pickle says, as a graph of nodes.
#[derive(Debug)]
pub(super) struct Pickled<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) root: Value<'a>,
}

impl<'a> Pickled<'a> {
    pub(super) fn values(&self, id: Id) -> &[Value<'a>] {
        if let Some(Node::Values(values)) = self.nodes.get(id) { values } else { &[] }
    }

    pub(super) fn pairs(&self, id: Id) -> &[(Value<'a>, Value<'a>)] {
        if let Some(Node::Pairs(pairs)) = self.nodes.get(id) { pairs } else { &[] }
    }

    /// The class of an instance and its attributes.
    pub(super) fn instance(&self, id: Id) -> Option<(Name<'a>, &[(Value<'a>, Value<'a>)])> {
        match self.nodes.get(id) {
            Some(Node::Instance { class, state }) => {
                Some((*class, state.map_or(&[][..], |state| self.pairs(state))))
            }
            _ => None,
        }
    }

    pub(super) fn storage(&self, id: Id) -> Option<Storage<'a>> {
        if let Some(Node::Storage(storage)) = self.nodes.get(id) { Some(*storage) } else { None }
    }

    pub(super) fn tensor(&self, id: Id) -> Option<&TensorNode> {
        if let Some(Node::Tensor(tensor)) = self.nodes.get(id) { Some(tensor) } else { None }
    }

    /// What a value is, in words.
    pub(super) fn describe(&self, value: Value<'a>) -> String {
        describe(&self.nodes, value)
    }
}

/// What a value is, in words.
pub(super) fn describe(nodes: &[Node<'_>], value: Value<'_>) -> String {
    match value {
        Value::None => "None".to_owned(),
        Value::Bool => "a bool".to_owned(),
        Value::Int(i) => format!("the integer {i}"),
        Value::Opaque(what) => what.to_owned(),
        Value::Text(text) => format!("the text {:?}", text.chars().take(40).collect::<String>()),
        Value::Tuple(_) => "a tuple".to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Dict(_) => "a dict".to_owned(),
        Value::Storage(_) => "a storage".to_owned(),
        Value::Tensor(_) => "a tensor".to_owned(),
        Value::Global(id) | Value::Instance(id) => match nodes.get(id) {
            Some(Node::Global(name)) => name.to_string(),
            Some(Node::Instance { class, .. }) => format!("an instance of {class}"),
            _ => "an object".to_owned(),
        },
    }
}
